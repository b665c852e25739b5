use crate::common::{Home, Ran, finish, objects};

/// Alice's store, and Bob with a key of his own.
struct People {
    home: Home,
    bob_key: String,
    bob_public: String,
}

impl People {
    fn new() -> Self {
        let home = Home::new();
        home.put("a", b"of alice");
        let bob_key = home.path("bob.key").to_str().unwrap().to_owned();
        let elsewhere = home.path("elsewhere").to_str().unwrap().to_owned();
        let words = ["--data", &elsewhere, "--identity", &bob_key];
        home.run_with(&[&words[..], &["put", "-", "x"]].concat(), b"x").ok();
        let public = ouroborosdb::unlock_identity(&home.path("bob.key"), None).unwrap();
        let text = public.public().to_text();
        let bob_public = home.file("bob.public", text);
        Self { home, bob_key, bob_public }
    }

    fn bob(&self, words: &[&str]) -> Ran {
        self.home.run(&[&["--identity", self.bob_key.as_str()][..], words].concat())
    }

    fn bob_puts(&self, name: &str, bytes: &[u8]) -> Ran {
        self.home.run_with(&["--identity", self.bob_key.as_str(), "put", "-", name], bytes)
    }

    fn share(&self, more: &[&str]) -> String {
        let words = ["scope", "share", "home", "--to", &self.bob_public, "--as", "Bob"];
        self.home.ok(&[&words[..], more].concat())
    }
}

#[test]
fn what_is_shared_is_read_and_what_is_taken_back_is_not() {
    let people = People::new();
    let home = &people.home;
    people.bob(&["get", "a"]).refused(6, "can read nothing");
    assert!(people.share(&[]).contains("reader  Bob"));
    assert_eq!(people.bob(&["get", "a"]).ok(), "of alice");
    people.bob_puts("b", b"of bob").refused(6, "may not write");
    people.share(&["--role", "writer"]);
    people.bob_puts("b", b"of bob").ok();
    assert_eq!(home.ok(&["get", "b"]), "of bob");
    let members = objects(&home.ok(&["scope", "members", "--json"]));
    assert_eq!(members.len(), 2);
    assert!(members.iter().any(|member| member["name"] == "Bob"));
    let revoked = home.ok(&["scope", "revoke", "home", "Bob"]);
    assert!(revoked.contains("2 names, 2 versions"), "{revoked}");
    home.put("new", b"after");
    assert_eq!(people.bob(&["get", "a"]).ok(), "of alice");
    people.bob(&["get", "new"]).refused(1, "no such name");
    people.bob_puts("c", b"late").refused(6, "may not write");
    let done = objects(&home.ok(&["scope", "reseal", "--json"])).remove(0);
    assert_eq!((&done["blocks_left"], &done["is_complete"]), (&0.into(), &true.into()));
    for name in ["a", "b", "new"] {
        people.bob(&["get", name]).refused(1, "no such name");
    }
    assert_eq!(home.ok(&["get", "a"]) + &home.ok(&["get", "b"]), "of aliceof bob");
    home.run(&["check", "--deep"]).ok();
}

#[test]
fn scopes_are_made_listed_and_worked_in() {
    let home = Home::new();
    let made = home.ok(&["scope", "create", "photos"]);
    let id = made.split(' ').next().unwrap();
    home.run_with(&["--scope", "photos", "put", "-", "n"], b"in photos").ok();
    home.run(&["get", "n"]).refused(1, "no such name");
    assert_eq!(home.ok(&["--scope", &id[..12], "get", "n"]), "in photos");
    let list = home.ok(&["scope", "list"]);
    assert!(list.contains("home") && list.contains("photos"), "{list}");
    home.run(&["--scope", "nowhere", "ls"]).refused(1, "no such scope");
    home.run(&["scope", "create", "photos"]).refused(2, "called photos");
    home.run(&["scope", "create", "a//b"]).refused(2, "name");
    home.run(&["scope", "revoke", "photos", "Nobody"]).refused(1, "no such member");
    let before = objects(&home.ok(&["scope", "list", "--json"]));
    home.ok(&["scope", "rotate", "photos"]);
    let after = objects(&home.ok(&["scope", "list", "--json"]));
    assert_eq!(after[1]["epochs"].as_u64(), before[1]["epochs"].as_u64().map(|n| n + 1));
    assert_eq!(home.ok(&["--scope", "photos", "get", "n"]), "in photos");
}

#[test]
fn a_scope_that_is_not_there_makes_no_store() {
    let home = Home::new();
    home.run_with(&["--scope", "nowhere", "put", "-", "n"], b"x").refused(1, "no such scope");
    assert!(!home.data().join("format").exists());
    home.run(&["scope", "list"]).refused(1, "no store");
}

#[test]
fn what_is_no_identity_is_not_shared_with() {
    let home = Home::new();
    home.put("n", b"x");
    let file = home.file("not-an-identity", "hello");
    let before = home.files();
    home.run(&["scope", "share", "--to", &file]).refused(2, "not a public identity");
    home.run(&["scope", "share", "--to", "missing.file"]).refused(1, "missing.file");
    assert_eq!(home.files(), before);
}

#[test]
fn turns_of_two_people_end_in_one_history() {
    let people = People::new();
    people.share(&["--role", "writer"]);
    for round in 0..3 {
        people.bob_puts("a", format!("bob {round}").as_bytes()).ok();
        people.home.put("a", format!("alice {round}").as_bytes());
    }
    let versions = objects(&people.home.ok(&["log", "a", "--json"]));
    assert_eq!(versions.len(), 7);
    let bob = objects(&people.bob(&["log", "a", "--json"]).ok());
    assert_eq!(bob.len(), 7);
    let ended = finish(people.home.command(&["heads", "a"]).spawn().unwrap()).ok();
    assert_eq!(ended.lines().count(), 1);
}
