//! Ctrl-C and SIGTERM.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Home, finish, noise};

fn interrupted(signal: Signal, code: i32) {
    let home = Home::new();
    home.put("before", b"kept");
    let before = home.contents();
    let mut child = home.command(&["put", "-", "n"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&noise(3_000_000, 10)).unwrap();
    let begun = Instant::now();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    let ran = finish(child);
    assert_eq!(ran.code, code, "{}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(pipe);
    assert_eq!(home.contents(), before);
    home.ok(&["check", "--deep"]);
}

#[test]
fn ctrl_c_leaves_the_store_as_it_was() {
    interrupted(Signal::INT, 130);
}

#[test]
fn sigterm_leaves_the_store_as_it_was() {
    interrupted(Signal::TERM, 143);
}

#[test]
fn an_interrupted_put_continues_by_what_is_there() {
    let home = Home::new();
    let file = home.file("big", noise(40_000_000, 11));
    home.put("other", b"x");
    let child = home.command(&["put", &file, "n"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(60));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).ok();
    let ran = finish(child);
    assert!(ran.code == 130 || ran.code == 0, "{}: {}", ran.code, ran.stderr);
    home.ok(&["put", &file, "n"]);
    assert_eq!(home.run(&["get", "n"]).stdout, std::fs::read(&file).unwrap());
}

#[test]
fn a_stopped_get_leaves_no_wrong_file() {
    let home = Home::new();
    let bytes = noise(40_000_000, 12);
    let file = home.file("big", &bytes);
    home.ok(&["put", &file, "n"]);
    let mut child = home.command(&["get", "n"]).spawn().unwrap();
    let mut first = vec![0; 1000];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(finish(child).code, 130);
    assert!(bytes.starts_with(&first));
}
