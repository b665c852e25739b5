use std::io::Write;

use crate::common::Home;

/// Alice's home, and a key that is somebody else's.
struct Two {
    home: Home,
    key: String,
    public: String,
}

impl Two {
    fn new() -> Self {
        let home = Home::new();
        let key = home.path("bob.key").to_str().unwrap().to_owned();
        let elsewhere = home.path("elsewhere").to_str().unwrap().to_owned();
        let words = ["--data", &elsewhere, "--identity", &key, "put", "-", "x"];
        home.run_with(&words, b"x").ok();
        let public = ouroborosdb::unlock_identity(&home.path("bob.key"), None).unwrap();
        let public = home.file("bob.public", public.public().to_text());
        Self { home, key, public }
    }

    fn share(&self, words: &[&str]) -> String {
        self.home.ok(&[&["share", "--to", &self.public][..], words].concat())
    }

    fn open(&self, words: &[&str]) -> crate::common::Ran {
        self.home.run(&[&["--identity", &self.key, "open"][..], words].concat())
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(step).collect()
}

#[test]
fn exactly_the_shared_version_opens_for_exactly_one() {
    let two = Two::new();
    two.home.put("notes/today", b"first");
    let second = noise(900_000);
    let hash = two.home.put("notes/today", &second);
    two.home.put("notes/today", b"third");
    two.home.put("other", b"not shared");
    let line = two.share(&["notes/today", "--at", &hash[..12]]);
    assert_eq!(line, format!("{hash} today.capsule\n"));
    let opened = two.open(&["today.capsule"]);
    assert!(opened.stderr.contains("is from"), "{}", opened.stderr);
    assert_eq!(opened.stdout, second);
    two.open(&["today.capsule", "copy"]).ok();
    assert_eq!(std::fs::read(two.home.path("copy")).unwrap(), second);
    two.home.run(&["open", "today.capsule"]).refused(6, "sealed for somebody else");
    let bytes = std::fs::read(two.home.path("today.capsule")).unwrap();
    assert!(bytes.len() < second.len() + 20_000);
    for known in [&second[..64], &b"notes/today"[..], &b"not shared"[..]] {
        assert!(!bytes.windows(known.len()).any(|window| window == known));
    }
    // Small content and a version by its hash.
    two.share(&[&two.home.put("small", b"tiny"), "small.capsule"]);
    assert_eq!(two.open(&["small.capsule"]).stdout, b"tiny");
}

#[test]
fn a_folder_goes_along_whole() {
    let two = Two::new();
    for (name, bytes) in [("tree/a", &b"1"[..]), ("tree/b/c", &noise(300_000)), ("tree/b/d", b"")] {
        two.home.file(name, bytes);
    }
    two.home.ok(&["put", "-r", "tree"]);
    two.share(&["tree"]);
    two.open(&["tree.capsule", "copy"]).ok();
    for name in ["a", "b/c", "b/d"] {
        let read = |root: &str| std::fs::read(two.home.path(root).join(name)).unwrap();
        assert_eq!(read("copy"), read("tree"), "{name}");
    }
    assert_eq!(two.open(&["tree.capsule", "-"]).code, 2);
}

#[test]
fn a_changed_capsule_writes_nothing() {
    let two = Two::new();
    two.home.put("n", &noise(200_000));
    two.share(&["n"]);
    let good = std::fs::read(two.home.path("n.capsule")).unwrap();
    let opened = |bytes: &[u8]| {
        let file = two.home.file("bad.capsule", bytes);
        two.open(&[&file, "out"]).refused(4, "damaged or no capsule");
        assert!(!two.home.path("out").exists());
    };
    for at in
        [0, 9, 10, 20, 60, 100, 4000, 5000, 6100, 6200, 100_000, good.len() - 5000, good.len() - 1]
    {
        let mut flipped = good.clone();
        flipped[at] ^= 4;
        opened(&flipped);
    }
    for len in [0, 5, 3000, 6011, 6100, 100_000, good.len() - 4692, good.len() - 1] {
        opened(&good[..len]);
    }
    opened(&[&good[..], b"x"].concat());
    // Every frame is sound, one is left out.
    let head = crypt::CAPSULE_HEAD_LEN;
    let len = u32::from_le_bytes(good[head..head + 4].try_into().unwrap()) as usize;
    opened(&[&good[..head], &good[head + 4 + len..]].concat());
}

#[test]
fn what_is_there_is_not_replaced_unless_asked() {
    let two = Two::new();
    two.home.put("n", b"content");
    let file = two.home.file("n.capsule", b"precious");
    two.home.run(&["share", "n", "--to", &two.public]).refused(6, "exists");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    two.share(&["n", "--force"]);
    assert_eq!(two.open(&["n.capsule"]).stdout, b"content");
    two.home.run(&["share", "missing", "--to", &two.public]).refused(1, "no such name");
    two.home.run(&["share", "n", "no/folder/x", "--to", &two.public]).refused(1, "no/folder");
    assert!(!two.home.path("missing.capsule").exists());
    std::fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"x").unwrap();
    two.open(&["n.capsule"]).refused(4, "damaged");
}
