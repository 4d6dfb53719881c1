//! From starting the debugger to its first stop at `main` of a small program,
//! the debugger's own end included.

use trapline_testkit::Debuggee;

use super::subject::{Context, Subject, timed};
use super::{Goal, Item};

pub(super) const ITEM: Item = Item {
    name: "first-stop",
    what: "start to first stop at main of a small program, and the end",
    unit: "ms",
    subjects: &[Subject::Trapline, Subject::Gdb, Subject::Lldb],
    goals: &[Goal::Times(0.2, Subject::Gdb), Goal::Times(0.1, Subject::Lldb)],
    measure,
};

fn measure(context: &Context, subject: Subject) -> Result<f64, String> {
    let built = Debuggee::build("recursion");
    let mut command = context.debugger(subject)?;
    let proof = match subject {
        Subject::Trapline => {
            command.args(["run", "--batch", "--json", "-b", "main", "-e", "kill", "--"]);
            "\"event\":\"stopped\""
        }
        Subject::Gdb | Subject::GdbCached => {
            command.args(["-batch", "-ex", "break main", "-ex", "run", "--args"]);
            "Breakpoint 1, main"
        }
        Subject::Lldb | Subject::LldbCached => {
            command.args(["--batch", "-o", "breakpoint set --name main", "-o", "run"]);
            command.args(["-o", "process kill", "--"]);
            "stop reason = breakpoint"
        }
        Subject::Floor | Subject::Gdbserver => return Err("stops nowhere".to_owned()),
    };
    Ok(timed(command.arg(&built.path), proof)?.elapsed.as_secs_f64() * 1e3)
}
