//! Durations that only the debugger itself can see, read from its `--json`
//! events: `{"event":"timing","what":NAME,"nanoseconds":N}`.

use std::time::Duration;

use serde_json::Value;

/// The command that lets every thread run for a moment, stops all, sets all
/// going again, and reports the time from the first stop to the last resume as
/// a timing event called `stop-resume`.
pub(super) const STOP_RESUME_COMMAND: &str = "maint stop-resume";

/// The durations of all timing events called `what`, in order. Lines that are
/// no events (the program's own output) are passed over.
pub(super) fn events(output: &str, what: &str) -> Vec<Duration> {
    output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["event"] == "timing" && event["what"] == what)
        .filter_map(|event| event["nanoseconds"].as_u64().map(Duration::from_nanos))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timing_events_are_picked_from_everything_else() {
        let output = "ready\n\
            {\"event\":\"timing\",\"what\":\"stop-resume\",\"nanoseconds\":1500}\n\
            {\"event\":\"timing\",\"what\":\"attach\",\"nanoseconds\":1}\n\
            {\"event\":\"stopped\",\"what\":\"stop-resume\",\"nanoseconds\":2}\n\
            {\"event\":\"timing\",\"what\":\"stop-resume\"}\n";
        assert_eq!(events(output, "stop-resume"), [Duration::from_nanos(1500)]);
    }
}
