use crate::common::{Home, objects};

fn filled() -> Home {
    let home = Home::new();
    for name in ["a", "a-b", "a/one", "a/two/x", "b/deep/er", "c"] {
        home.put(name, name.as_bytes());
    }
    home
}

#[test]
fn one_level_is_listed_like_a_folder() {
    let home = filled();
    assert_eq!(home.ok(&["ls"]), "a/\na-b\nb/\nc\n");
    assert_eq!(home.ok(&["ls", "a/"]), "a/one\na/two/\n");
    assert_eq!(home.ok(&["ls", "a"]), "a/\na-b\n");
    assert_eq!(home.ok(&["ls", "none"]), "");
}

#[test]
fn all_names_are_listed_with_r() {
    let home = filled();
    assert_eq!(home.ok(&["ls", "-r"]), "a\na-b\na/one\na/two/x\nb/deep/er\nc\n");
    assert_eq!(home.ok(&["ls", "-r", "a/t"]), "a/two/x\n");
}

#[test]
fn long_lines_tell_hash_size_time_and_heads() {
    let home = Home::new();
    let hash = home.put("n", b"12345");
    let line = home.ok(&["ls", "-l"]);
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words[0], words[1], words[3], words[4]), (hash.as_str(), "5", "1", "n"));
    let object = objects(&home.ok(&["ls", "-l", "--json"])).remove(0);
    assert_eq!(object["hash"], hash.as_str());
    assert_eq!(object["bytes"], 5);
}

#[test]
fn the_past_is_listed() {
    let home = Home::new();
    home.put("n", b"x");
    assert_eq!(home.ok(&["ls", "--at", "0s"]), "n\n");
    assert_eq!(home.ok(&["ls", "--at", "1h"]), "");
    home.run(&["ls", "--at", "never"]).refused(2, "malformed time");
}
