//! What is made from the command line's description.

use crate::common::Home;

#[test]
fn completions_exist_for_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(home.ok(&["completions", shell]).contains("ouroboros"), "{shell}");
    }
    home.run(&["completions", "tcl"]).refused(2, "tcl");
    assert!(!home.data().exists());
}

#[test]
fn every_command_has_a_manual_page() {
    let home = Home::new();
    home.ok(&["man", "pages"]);
    let page = std::fs::read_to_string(home.path("pages/ouroboros-put.1")).unwrap();
    assert!(page.contains("Example: ouroboros put"), "{page}");
    assert!(home.path("pages/ouroboros-key-passwd.1").exists());
}

#[test]
fn help_and_version_are_results() {
    let home = Home::new();
    assert!(home.ok(&["--version"]).starts_with("ouroboros "));
    assert!(home.ok(&["put", "--help"]).starts_with("Example: ouroboros put"));
    assert!(home.ok(&["help", "get"]).starts_with("Example: ouroboros get"));
}

#[test]
fn colour_is_asked_for_or_not_there() {
    let home = Home::new();
    assert!(!home.run(&["ls"]).stderr.contains('\x1b'));
    assert!(home.run(&["ls", "--colour", "always"]).stderr.contains('\x1b'));
    assert!(!home.run(&["ls", "--colour", "never"]).stderr.contains('\x1b'));
}
