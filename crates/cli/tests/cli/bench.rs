use crate::common::{Home, objects};

#[test]
fn a_small_run_prints_a_line_for_each_figure_and_leaves_nothing() {
    let home = Home::new();
    let goals = ["P1", "P5", "P7", "P10", "check"];
    let lines = objects(&home.ok(&[&["bench", "--size", "small", "--json"], &goals[..]].concat()));
    for goal in goals.iter().chain(&["stage"]) {
        let rows: Vec<_> = lines.iter().filter(|row| row["id"] == *goal).collect();
        assert!(!rows.is_empty(), "{goal}");
        for row in rows {
            assert!(row["measured"].as_f64().is_some_and(|figure| figure > 0.0), "{row}");
            assert!(row["unit"].is_string() && row["what"].is_string(), "{row}");
            assert_eq!(row["goal"].is_null(), row["is_met"].is_null(), "{row}");
            assert_eq!(row["reference"].is_null(), row["ratio"].is_null(), "{row}");
        }
    }
    let left = std::fs::read_dir(home.path("")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("bench")), "{left:?}");
}

#[test]
fn a_goal_that_is_not_there_is_a_usage_error() {
    let home = Home::new();
    home.run(&["bench", "--size", "small", "P99"]).refused(2, "P99");
    home.run(&["bench", "--size", "3"]).refused(2, "8M to 8G");
}
