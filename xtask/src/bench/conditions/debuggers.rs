//! gdb and lldb, whose conditions are evaluated in the debugger at a stop.

use trapline_testkit::Linkage;

use super::place::ONE;
use super::row::{Row, Who};
use super::subject::{self, PROOF, Sample, with_arguments};
use crate::bench::subject::{Context, Subject, timed};

/// No stop with a change of process is this quick, in nanoseconds.
const NO_STOP: f64 = 500.0;

pub(super) fn sample(context: &Context, row: &Row) -> Result<Sample, String> {
    let built = subject::bare(Linkage::Pie);
    let mark = built.mark(&format!("{}_{}", row.function.name(), row.place.name()));
    let mut command = if row.who == Who::Gdb {
        let mut gdb = context.debugger(Subject::Gdb)?;
        let set = format!("break {} if {ONE}", mark.spec());
        gdb.args(["-batch", "-ex", &set, "-ex", "run", "--args"]);
        gdb
    } else {
        let mut lldb = context.debugger(Subject::Lldb)?;
        let place = format!("--file {} --line {}", subject::word(&mark.file)?, mark.line);
        let set = format!("breakpoint set {place} --condition '{ONE}'");
        lldb.args(["--batch", "-o", &set, "-o", "run", "--"]);
        lldb
    };
    command.arg(&built.path);
    let finished = timed(with_arguments(&mut command, row), PROOF)?;
    let sample = subject::read(&[finished.stdout, finished.stderr].concat())?;
    if sample.ns_per_pass < NO_STOP {
        return Err("the program ran at full speed: the breakpoint was not there".to_owned());
    }
    Ok(sample)
}
