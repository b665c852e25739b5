//! How an identity travels: words, copies, public texts, and the keys of `ouroboros-crypt`.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::common::{Home, Ran, finish, objects};

const PASSPHRASE: &str = "OUROBOROS_KEY_PASSPHRASE";
const PASSPHRASE_NEW: &str = "OUROBOROS_KEY_NEW_PASSPHRASE";
const VECTORS: &str = include_str!("../../../crypt/testdata/ouroboros-crypt.json");

fn run_as(home: &Home, words: &[&str], environment: &[(&str, &str)]) -> Ran {
    finish(home.command(words).envs(environment.iter().copied()).spawn().unwrap())
}

fn user(home: &Home) -> String {
    let object = objects(&home.ok(&["key", "show", "--json"])).remove(0);
    object.get("user").and_then(Value::as_str).unwrap().to_owned()
}

fn mode(home: &Home, name: &str) -> u32 {
    std::fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777
}

fn words(home: &Home) -> String {
    home.ok(&["key", "recovery", "--yes"])
}

#[test]
fn words_restore_the_identity_and_its_store_on_a_bare_machine() {
    let home = Home::new();
    home.put("n", b"content");
    let (user, words) = (user(&home), words(&home));
    assert_eq!(words.split_whitespace().count(), 24);
    std::fs::remove_file(home.path("data/identity.key")).unwrap();
    home.run(&["get", "n"]).refused(6, "is missing");
    let written = words.to_uppercase().replace('\n', "\r\n  ");
    let told = home.run_with(&["key", "recovery", "--restore"], written.as_bytes()).ok();
    assert!(told.starts_with("ouro1"), "{told}");
    assert_eq!(mode(&home, "data/identity.key"), 0o600);
    assert_eq!(home.ok(&["get", "n"]), "content");
    assert_eq!(self::user(&home), user);

    let bare = Home::new();
    let mut command = bare.command(&["key", "recovery", "--restore"]);
    let mut child = command.env(PASSPHRASE_NEW, "new").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), words.as_bytes()).unwrap();
    assert_eq!(
        finish(child).ok(),
        told.replace(&home.data().display().to_string(), &bare.data().display().to_string(),)
    );
    run_as(&bare, &["put", "-", "x"], &[(PASSPHRASE, "wrong")]).refused(6, "wrong passphrase");
    let file = bare.file("x", "x");
    run_as(&bare, &["put", &file], &[(PASSPHRASE, "new")]).ok();
}

#[test]
fn words_are_printed_only_when_that_was_meant() {
    let home = Home::new();
    home.put("n", b"x");
    home.run(&["key", "recovery"]).refused(6, "--yes");
    home.run(&["key", "recovery", "--json"]).refused(6, "--yes");
    let object = objects(&home.ok(&["key", "recovery", "--json", "--yes"])).remove(0);
    let list: Vec<&str> =
        object["words"].as_array().unwrap().iter().flat_map(|w| w.as_str()).collect();
    assert_eq!(list, words(&home).split_whitespace().collect::<Vec<_>>());
}

#[test]
fn mistakes_in_words_are_named_and_change_nothing() {
    let home = Home::new();
    home.put("n", b"x");
    let text = words(&home);
    let list: Vec<&str> = text.split_whitespace().collect();
    std::fs::remove_file(home.path("data/identity.key")).unwrap();
    let restore = |text: &str| home.run_with(&["key", "recovery", "--restore"], text.as_bytes());
    let mut wrong = list.clone();
    wrong[6] = "ouroboros";
    let ran = restore(&wrong.join(" "));
    assert!(!ran.stderr.contains("ouroboros "), "the word is not repeated: {}", ran.stderr);
    ran.refused(2, "word 7");
    restore(&list[..23].join(" ")).refused(2, "23 were given");
    let mut swapped = list.clone();
    swapped.sort_unstable();
    restore(&swapped.join(" ")).refused(2, "checksum");
    restore(&"zoo ".repeat(400)).refused(2, "longer");
    assert!(!home.path("data/identity.key").exists());
}

#[test]
fn another_identity_is_put_aside_only_by_force() {
    let (home, other) = (Home::new(), Home::new());
    home.put("n", b"x");
    other.put("n", b"y");
    let restore = |words: &str, flags: &[&str]| {
        let all = [["key", "recovery", "--restore"].as_slice(), flags].concat();
        home.run_with(&all, words.as_bytes())
    };
    let own = words(&home);
    let before = std::fs::read(home.path("data/identity.key")).unwrap();
    let told = restore(&own, &["--json"]).ok();
    assert!(told.contains("\"is_new\":false"), "{told}");
    restore(&words(&other), &[]).refused(6, "nothing was done");
    assert_eq!(std::fs::read(home.path("data/identity.key")).unwrap(), before);
    let ran = restore(&words(&other), &["--force"]);
    assert!(ran.stderr.contains("identity.key.old"), "{}", ran.stderr);
    ran.ok();
    assert_eq!(std::fs::read(home.path("data/identity.key.old")).unwrap(), before);
    assert_eq!(mode(&home, "data/identity.key.old"), 0o600);
    // A third one would lose the first.
    let third = Home::new();
    third.put("n", b"z");
    restore(&words(&third), &["--force"]).refused(6, "identity.key.old");
    restore(&own, &["--force"]).refused(6, "identity.key.old");
}

#[test]
fn a_copy_is_the_same_identity_under_the_same_or_another_passphrase() {
    let home = Home::new();
    home.put("n", b"content");
    let user = user(&home);
    home.ok(&["key", "export", "copy.key"]);
    assert_eq!(mode(&home, "copy.key"), 0o600);
    home.run(&["key", "export", "copy.key"]).refused(6, "exists");
    home.run(&["key", "export", "-"]).refused(2, "stdout");
    home.run(&["key", "export", "no/such/copy.key"]).refused(1, "no such folder");
    run_as(&home, &["key", "export", "--passwd", "sealed.key"], &[(PASSPHRASE_NEW, "p")]).ok();
    std::fs::remove_file(home.path("data/identity.key")).unwrap();
    home.run(&["key", "import", "sealed.key"]).refused(6, "passphrase");
    run_as(&home, &["key", "import", "sealed.key"], &[(PASSPHRASE, "wrong")])
        .refused(6, "wrong passphrase");
    run_as(&home, &["key", "import", "sealed.key"], &[(PASSPHRASE, "p")]).ok();
    assert_eq!(run_as(&home, &["get", "n"], &[(PASSPHRASE, "p")]).ok(), "content");
    home.run(&["get", "n"]).refused(6, "passphrase");
    home.ok(&["key", "import", "copy.key", "--force"]);
    assert_eq!(self::user(&home), user);
}

#[test]
fn a_cut_copy_is_damage_at_every_byte() {
    let home = Home::new();
    home.put("n", b"x");
    home.ok(&["key", "export", "copy.key"]);
    let whole = std::fs::read(home.path("copy.key")).unwrap();
    for cut in (0..whole.len()).step_by(11).chain([whole.len() - 1]) {
        let file = home.file("cut.key", &whole[..cut]);
        home.run(&["key", "import", &file]).refused(4, "nothing was done");
    }
    home.run(&["key", "import", "missing.key"]).refused(1, "missing.key");
    let long = home.file("long.key", vec![b'x'; 20_000]);
    home.run(&["key", "import", &long]).refused(2, "longer");
}

#[test]
fn the_public_identity_goes_round_as_text() {
    let home = Home::new();
    home.put("n", b"x");
    let text = home.ok(&["key", "show", "--public"]);
    assert_eq!(home.ok(&["key", "export", "--public", "-"]), text);
    let id = home.ok(&["key", "export", "--public", "me.txt"]);
    assert_eq!(std::fs::read_to_string(home.path("me.txt")).unwrap(), text);
    assert!(home.ok(&["key", "show"]).contains(id.trim()), "{id}");
    let object = objects(&home.ok(&["key", "show", "--public", "--json"])).remove(0);
    assert_eq!((object["id"].as_str(), object["public"].as_str()), (Some(id.trim()), Some(&*text)));
    // The other side looks at what was sent before it shares anything.
    let other = Home::new();
    let received = other.file("them.txt", text.replace('\n', "\r\n"));
    assert_eq!(other.ok(&["key", "import", &received]), id);
    let changed =
        other.file("them.txt", text.replacen("ouro1q", "ouro1p", 1).replacen('A', "B", 1));
    assert_ne!(other.run(&["key", "import", &changed]).code, 0);
    let key = std::fs::read(home.path("data/identity.key")).unwrap();
    assert!(
        !text.as_bytes().windows(16).any(|window| key.windows(16).any(|secret| secret == window))
    );
}

fn bytes(value: &Value) -> Vec<u8> {
    use base64ct::{Base64, Encoding};
    Base64::decode_vec(value.as_str().unwrap()).unwrap()
}

#[test]
fn keys_of_ouroboros_crypt_open_and_verify_what_is_old() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let home = Home::new();
    home.put("n", b"x");
    let container = home.file("old.json", vectors["identity"]["key_file"].as_str().unwrap());
    let other = home.file("other.json", vectors["other_identity"]["key_file"].as_str().unwrap());
    let case = &vectors["encrypt"][3];
    let parts = ["encapsulated_key", "nonce", "ciphertext"].map(|name| bytes(&case[name]));
    let sealed = home.file("sealed", parts.concat());
    home.run(&["key", "open-legacy", &sealed]).refused(6, "no legacy keys");
    let plain = bytes(&case["plaintext"]);
    assert_eq!(home.run(&["key", "open-legacy", &sealed, "--keys", &container]).stdout, plain);
    let told = home.ok(&["key", "import", &container]);
    assert!(told.starts_with(vectors["identity"]["node_id_sha256"].as_str().unwrap()), "{told}");
    assert_eq!(mode(&home, "data/identity.key.legacy"), 0o600);
    home.ok(&["key", "import", &container]);
    home.run(&["key", "import", &other]).refused(6, "nothing was done");
    assert_eq!(home.run(&["key", "open-legacy", &sealed]).stdout, plain);
    home.ok(&["key", "open-legacy", &sealed, "plain"]);
    assert_eq!(std::fs::read(home.path("plain")).unwrap(), plain);
    home.run(&["key", "open-legacy", &sealed, "plain"]).refused(6, "exists");
    let json = serde_json::json!({"Ciphertext": case["ciphertext"], "Nonce": case["nonce"],
        "EncapsulatedKey": case["encapsulated_key"]});
    let json = home.file("sealed.json", json.to_string());
    assert_eq!(home.run(&["key", "open-legacy", &json]).stdout, plain);
    home.run(&["key", "open-legacy", &json, "--keys", &other]).refused(4, "does not open");
    home.ok(&["key", "import", &other, "--force"]);
    home.run(&["key", "open-legacy", &sealed]).refused(4, "nothing was written");
}

#[test]
fn signatures_of_ouroboros_crypt_hold_or_do_not() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let home = Home::new();
    home.put("n", b"x");
    let case = &vectors["signatures"][2];
    let message = home.file("message", bytes(&case["message"]));
    let signature = home.file("signature", bytes(&case["signature"]));
    let text = home.file("signature.txt", format!("{}\n", case["signature"].as_str().unwrap()));
    let signer = home.file("signer", bytes(&vectors["identity"]["sign_public"]));
    let container = home.file("old.json", vectors["identity"]["key_file"].as_str().unwrap());
    for written in [&signature, &text] {
        for signer in [&signer, &container] {
            let ran = ["key", "verify-legacy", &message, written, "--signer", signer];
            assert_eq!(home.ok(&ran), "holds\n");
        }
    }
    home.ok(&["key", "import", &container]);
    assert_eq!(home.ok(&["key", "verify-legacy", &message, &signature]), "holds\n");
    home.run(&["key", "verify-legacy", &signer, &signature]).refused(4, "does not hold");
    let long = home.file("long", [bytes(&case["signature"]), vec![0]].concat());
    home.run(&["key", "verify-legacy", &message, &long]).refused(4, "does not hold");
    home.run(&["key", "verify-legacy", &message, &signature, "--signer", &message])
        .refused(2, "no ML-DSA-87 public key");
}
