//! The arguments of `set`, `show` and `handle`.

use trapline_core::breakpoint::Mechanism;
use trapline_engine::command::{ResumePolicy, SchedulerLocking, Setting};
use trapline_patch::jump::{Tactic, Tactics};

use super::{Read, path, required, signal_named};
use crate::cli::action::{Action, SetWhat};
use crate::cli::words::split;

pub(crate) fn handle(args: &str) -> Read {
    let (mut signals, mut all) = (Vec::new(), false);
    let (mut stop, mut print, mut pass) = (None, None, None);
    for word in args.split_whitespace() {
        match word {
            "all" => all = true,
            "stop" => (stop, print) = (Some(true), Some(true)),
            "nostop" => stop = Some(false),
            "print" => print = Some(true),
            // What is not told cannot stop either, as in gdb.
            "noprint" => (stop, print) = (Some(false), Some(false)),
            "pass" | "noignore" => pass = Some(true),
            "nopass" | "ignore" => pass = Some(false),
            name => signals.push(signal_named(name)?),
        }
    }
    if signals.is_empty() && !all {
        return Err("say which signals: `handle SIGUSR1 nostop noprint pass`".to_owned());
    }
    if all {
        signals.clear();
    }
    Ok(Action::Handle { signals, stop, print, pass })
}

pub(crate) fn set_variable(args: &str) -> Read {
    Ok(Action::Assign(required(args, "what to assign: VAR = EXPR")?.to_owned()))
}

pub(crate) fn set_expression(args: &str) -> Read {
    match args {
        "" => Ok(Action::Help("set".to_owned())),
        _ if args.contains('=') => Ok(Action::Assign(args.to_owned())),
        _ => {
            Err(format!("`set {args}`: there is no such setting; `help set` shows those there are"))
        }
    }
}

fn on_off(args: &str) -> Result<bool, String> {
    match args {
        "on" | "1" | "yes" | "enable" => Ok(true),
        "off" | "0" | "no" | "disable" => Ok(false),
        _ => Err(format!("`{args}`: write on or off")),
    }
}

fn session(setting: Setting) -> Read {
    Ok(Action::Set(SetWhat::Session(setting)))
}

pub(crate) fn set_args(args: &str) -> Read {
    Ok(Action::Set(SetWhat::Args(split(args)?)))
}

pub(crate) fn set_environment(args: &str) -> Read {
    let text = required(args, "which variable: NAME=VALUE")?;
    let (name, value) = text.split_once('=').or_else(|| text.split_once(' ')).unwrap_or((text, ""));
    let value = crate::cli::words::unquote(value.trim());
    Ok(Action::Set(SetWhat::Environment(name.trim().to_owned(), Some(value))))
}

pub(crate) fn unset_environment(args: &str) -> Read {
    let name = required(args, "which variable")?.to_owned();
    Ok(Action::Set(SetWhat::Environment(name, None)))
}

pub(crate) fn set_substitute_path(args: &str) -> Read {
    let words = split(args)?;
    let [from, to] = words.as_slice() else {
        return Err("write `set substitute-path FROM TO`: two folders".to_owned());
    };
    Ok(Action::Set(SetWhat::Substitute(from.into(), Some(to.into()))))
}

pub(crate) fn unset_substitute_path(args: &str) -> Read {
    let words = split(args)?;
    Ok(Action::Set(match words.as_slice() {
        [] => SetWhat::NoSubstitutes,
        [from] => SetWhat::Substitute(from.into(), None),
        _ => return Err("write `unset substitute-path [FROM]`".to_owned()),
    }))
}

pub(crate) fn set_directory(args: &str) -> Read {
    let directory = if args.is_empty() { None } else { Some(path(args, "which directory")?) };
    Ok(Action::Set(SetWhat::Directory(directory)))
}

pub(crate) fn set_randomization(args: &str) -> Read {
    Ok(Action::Set(SetWhat::Randomize(!on_off(args)?)))
}

pub(crate) fn set_resume_policy(args: &str) -> Read {
    match args {
        "debugger" => session(Setting::ResumePolicy(ResumePolicy::Debugger)),
        "driver" => session(Setting::ResumePolicy(ResumePolicy::Driver)),
        _ => Err(format!("`{args}`: write debugger or driver")),
    }
}

pub(crate) fn set_scheduler_locking(args: &str) -> Read {
    let mut modes = SchedulerLocking::ALL.into_iter();
    let mode = modes.find(|mode| mode.to_string() == args);
    let mode = mode.ok_or_else(|| format!("`{args}`: write off, on, step or replay"))?;
    session(Setting::SchedulerLocking(mode))
}

pub(crate) fn set_mechanism(args: &str) -> Read {
    match args {
        "auto" => session(Setting::Mechanism(None)),
        "jump" => session(Setting::Mechanism(Some(Mechanism::Jump))),
        "trap" => session(Setting::Mechanism(Some(Mechanism::Trap))),
        _ => Err(format!("`{args}`: write auto, jump or trap")),
    }
}

pub(crate) fn set_jump_tactics(args: &str) -> Read {
    if args == "all" {
        return session(Setting::JumpTactics(Tactics::ALL));
    }
    let words = required(args, "which of whole, pun and window, or all")?.split_whitespace();
    let tactics = words.map(|word| {
        Tactic::from_name(word)
            .ok_or_else(|| format!("`{word}` is not one of whole, pun and window"))
    });
    session(Setting::JumpTactics(tactics.collect::<Result<Tactics, String>>()?))
}

pub(crate) fn set_over_cover(args: &str) -> Read {
    session(Setting::OverCover(on_off(args)?))
}

pub(crate) fn set_follow_children(args: &str) -> Read {
    session(Setting::FollowChildren(on_off(args)?))
}

pub(crate) fn set_print(args: &str) -> Read {
    match args.split_once(char::is_whitespace).unwrap_or((args, "on")) {
        ("object", value) => session(Setting::PrintObject(on_off(value.trim())?)),
        _ => Err(format!("`{args}`: write object on or object off")),
    }
}

pub(crate) fn set_follow_fork_mode(args: &str) -> Read {
    match args {
        "parent" => session(Setting::FollowChildren(false)),
        "both" => session(Setting::FollowChildren(true)),
        "child" => Err("`child`: the parent is never let go; write `both`".to_owned()),
        _ => Err(format!("`{args}`: write parent or both")),
    }
}

pub(crate) fn set_leave_running(args: &str) -> Read {
    session(Setting::LeaveRunning(on_off(args)?))
}

pub(crate) fn set_flavor(args: &str) -> Read {
    match args {
        "intel" => Ok(Action::Set(SetWhat::Intel(true))),
        "att" => Ok(Action::Set(SetWhat::Intel(false))),
        _ => Err(format!("`{args}`: write att or intel")),
    }
}

pub(crate) fn set_style(args: &str) -> Read {
    match args.split_once(' ') {
        Some(("sources", on)) => Ok(Action::Set(SetWhat::StyleSources(on_off(on.trim())?))),
        _ => Err(format!("`{args}`: write sources on or sources off")),
    }
}

pub(crate) fn set_list_size(args: &str) -> Read {
    let size = args.parse().ok().filter(|&size| size > 0);
    let size = size.ok_or_else(|| format!("`{args}` is not a number of lines"))?;
    Ok(Action::Set(SetWhat::ListSize(size)))
}

pub(crate) fn set_confirm(args: &str) -> Read {
    Ok(Action::Set(SetWhat::Confirm(on_off(args)?)))
}

pub(crate) fn show(args: &str) -> Read {
    Ok(Action::Show(args.to_owned()))
}
