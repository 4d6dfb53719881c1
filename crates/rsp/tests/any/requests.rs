//! Any request, family by family.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use trapline_rsp::Request;
use trapline_rsp::request::*;

use super::{bytes, thread};

/// One of several strategies, each with its own closure.
macro_rules! one_of {
    ($($strategy:expr),* $(,)?) => {
        Union::new([$($strategy.boxed()),*]).boxed()
    };
}

fn number() -> impl Strategy<Value = u64> {
    any::<u64>()
}

fn maybe<T: std::fmt::Debug + 'static>(
    inner: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    prop::option::of(inner).boxed()
}

fn codes() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(bytes(), 0..3)
}

/// Bytes that are not empty, where empty ones mean something else.
fn some_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..20)
}

fn registers() -> BoxedStrategy<RegisterRequest> {
    use RegisterRequest as It;
    let thread_too = || maybe(thread());
    one_of![
        thread_too().prop_map(|thread| It::ReadAll { thread }),
        (bytes(), thread_too()).prop_map(|(values, thread)| It::WriteAll { values, thread }),
        (any::<u32>(), thread_too()).prop_map(|(number, thread)| It::Read { number, thread }),
        (any::<u32>(), bytes(), thread_too()).prop_map(|(number, value, thread)| It::Write {
            number,
            value,
            thread
        }),
        thread_too().prop_map(|thread| It::Save { thread }),
        (number(), thread_too()).prop_map(|(id, thread)| It::Restore { id, thread }),
        thread().prop_map(|thread| It::Sync { thread }),
    ]
}

fn memory() -> BoxedStrategy<MemoryRequest> {
    use MemoryRequest as It;
    one_of![
        (number(), number()).prop_map(|(address, length)| It::Read { address, length }),
        (number(), number()).prop_map(|(address, length)| It::ReadBinary { address, length }),
        (number(), bytes()).prop_map(|(address, data)| It::Write { address, data }),
        (number(), bytes()).prop_map(|(address, data)| It::WriteBinary { address, data }),
        (number(), number(), bytes()).prop_map(|(address, length, pattern)| It::Search {
            address,
            length,
            pattern
        }),
        (number(), number()).prop_map(|(address, length)| It::Crc { address, length }),
        (number(), "r?w?x?").prop_map(|(size, permissions)| It::Allocate { size, permissions }),
        number().prop_map(|address| It::Deallocate { address }),
        maybe(number()).prop_map(|address| It::Region { address }),
    ]
}

fn points() -> BoxedStrategy<PointRequest> {
    let kind = prop::sample::select(vec![
        PointKind::Software,
        PointKind::Hardware,
        PointKind::Write,
        PointKind::Read,
        PointKind::Access,
    ]);
    let point = (kind, number(), number())
        .prop_map(|(kind, address, size)| Point { kind, address, size })
        .boxed();
    let commands =
        (any::<bool>(), codes()).prop_map(|(persist, bytecode)| Commands { persist, bytecode });
    one_of![
        point.clone().prop_map(|point| PointRequest::Remove { point }),
        (point, codes(), maybe(commands)).prop_map(|(point, conditions, commands)| {
            PointRequest::Insert { point, conditions, commands }
        }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let resume = one_of![
        Just(Resume::Continue),
        any::<u8>().prop_map(Resume::ContinueWith),
        Just(Resume::Step),
        any::<u8>().prop_map(Resume::StepWith),
        Just(Resume::Stop),
        (number(), number()).prop_map(|(start, end)| Resume::Range { start, end }),
    ];
    (resume, maybe(thread())).prop_map(|(resume, thread)| Action { resume, thread })
}

fn run() -> BoxedStrategy<RunRequest> {
    use RunRequest as It;
    let signal = || maybe(any::<u8>());
    one_of![
        (signal(), maybe(number())).prop_map(|(signal, address)| It::Continue { signal, address }),
        (signal(), maybe(number())).prop_map(|(signal, address)| It::Step { signal, address }),
        vec(action(), 1..5).prop_map(It::Actions),
        Just(It::KnownActions),
        Just(It::Interrupt),
        Just(It::ReverseContinue),
        Just(It::ReverseStep),
    ]
}

fn process() -> BoxedStrategy<ProcessRequest> {
    use ProcessRequest as It;
    one_of![
        Just(It::Extended),
        Just(It::StopReason),
        Just(It::Kill),
        number().prop_map(|process| It::KillOne { process }),
        (maybe(number()), any::<bool>())
            .prop_map(|(process, stay_stopped)| It::Detach { process, stay_stopped }),
        Just(It::Restart),
        (bytes(), codes()).prop_map(|(program, arguments)| It::Run { program, arguments }),
        vec((any::<u32>(), bytes()), 1..4).prop_map(|arguments| It::Launch { arguments }),
        Just(It::LaunchSucceeded),
        number().prop_map(|process| It::Attach(AttachTo::Process(process))),
        bytes().prop_map(|name| It::Attach(AttachTo::Name(name))),
        bytes().prop_map(|name| It::Attach(AttachTo::Next(name))),
        bytes().prop_map(|name| It::Attach(AttachTo::NameOrNext(name))),
        maybe(number()).prop_map(|process| It::WasAttached { process }),
        Just(It::NextStop),
    ]
}

fn threads() -> BoxedStrategy<ThreadRequest> {
    use ThreadRequest as It;
    let purpose = prop::sample::select(vec![Purpose::Access, Purpose::Run]);
    one_of![
        (purpose, thread()).prop_map(|(purpose, thread)| It::Select { purpose, thread }),
        thread().prop_map(|thread| It::IsAlive { thread }),
        Just(It::Current),
        Just(It::ListFirst),
        Just(It::ListNext),
        thread().prop_map(|thread| It::Describe { thread }),
        (thread(), number(), number()).prop_map(|(thread, offset, module)| It::TlsAddress {
            thread,
            offset,
            module
        }),
        thread().prop_map(|thread| It::TibAddress { thread }),
        thread().prop_map(|thread| It::StopReason { thread }),
        Just(It::StopReasons),
        ".{0,20}".prop_map(|json| It::Extended { json }),
    ]
}

fn files() -> BoxedStrategy<FileRequest> {
    use FileRequest as It;
    let file = any::<u32>;
    one_of![
        (bytes(), any::<u32>(), any::<u32>()).prop_map(|(path, flags, mode)| It::Open {
            path,
            flags,
            mode
        }),
        file().prop_map(|file| It::Close { file }),
        (file(), number(), number()).prop_map(|(file, count, offset)| It::Read {
            file,
            count,
            offset
        }),
        (file(), number(), bytes()).prop_map(|(file, offset, data)| It::Write {
            file,
            offset,
            data
        }),
        file().prop_map(|file| It::StatOpen { file }),
        bytes().prop_map(|path| It::Stat { path }),
        bytes().prop_map(|path| It::StatLink { path }),
        bytes().prop_map(|path| It::Remove { path }),
        bytes().prop_map(|path| It::ReadLink { path }),
        number().prop_map(|process| It::SetFilesystem { process }),
        bytes().prop_map(|path| It::Size { path }),
        bytes().prop_map(|path| It::Mode { path }),
        bytes().prop_map(|path| It::Exists { path }),
        bytes().prop_map(|path| It::Md5 { path }),
        (bytes(), bytes()).prop_map(|(path, at)| It::MakeLink { path, at }),
    ]
}

fn transfers() -> BoxedStrategy<TransferRequest> {
    use TransferObject::{Auxv, ExecFile, Features, LibrariesSvr4, Other, Siginfo, Threads};
    use TransferRequest as It;
    let known = vec![Auxv, ExecFile, Features, LibrariesSvr4, Siginfo, Threads];
    let object = one_of![prop::sample::select(known), "our-[a-z]{0,5}".prop_map(Other)];
    let annex = "[a-z=;.]{0,10}";
    one_of![
        (object.clone(), annex, number(), number()).prop_map(|(object, annex, offset, length)| {
            It::Read { object, annex, offset, length }
        }),
        (object, annex, number(), bytes()).prop_map(|(object, annex, offset, data)| It::Write {
            object,
            annex,
            offset,
            data
        }),
    ]
}

fn query() -> BoxedStrategy<Query> {
    let said = one_of![
        Just(FeatureValue::Yes),
        Just(FeatureValue::No),
        Just(FeatureValue::Maybe),
        "[a-z0-9=+,]{0,8}".prop_map(FeatureValue::Value),
    ];
    let feature =
        ("[A-Za-z][A-Za-z:-]{0,10}", said).prop_map(|(name, value)| Feature { name, value });
    one_of![
        vec(feature, 0..5).prop_map(|features| Query::Supported { features }),
        Just(Query::SymbolsWanted),
        (maybe(number()), some_bytes()).prop_map(|(value, name)| Query::Symbol { value, name }),
        bytes().prop_map(|command| Query::Monitor { command }),
        Just(Query::Offsets),
        Just(Query::TraceStatus),
        Just(Query::MustReplyEmpty),
    ]
}

fn lldb() -> BoxedStrategy<LldbQuery> {
    use LldbQuery as It;
    let bare = prop::sample::select(vec![
        It::HostInfo,
        It::ProcessInfo,
        It::ProcessesNext,
        It::LibrariesAddress,
        It::WatchpointSupport,
        It::AttachOrWaitSupported,
        It::DetachStoppedSupported,
        It::StepSupported,
        It::StructuredData,
        It::WorkingDir,
        It::ServerPid,
        It::ServerVersion,
    ]);
    let kind = prop::sample::select(vec![UserKind::User, UserKind::Group]);
    one_of![
        bare,
        number().prop_map(|process| It::ProcessInfoOf { process }),
        bytes().prop_map(|filter| It::ProcessesFirst { filter }),
        any::<u32>().prop_map(|number| It::RegisterInfo { number }),
        (bytes(), bytes()).prop_map(|(path, triple)| It::ModuleInfo { path, triple }),
        ".{0,20}".prop_map(|json| It::ModulesInfo { json }),
        bytes().prop_map(|path| It::LoadAddress { path }),
        (kind, any::<u32>()).prop_map(|(kind, id)| It::NameOf { kind, id }),
        bytes().prop_map(|words| It::Echo { words }),
        (number(), bytes()).prop_map(|(response_size, data)| It::SpeedTest { response_size, data }),
        bytes().prop_map(|options| It::LaunchServer { options }),
        ("[a-z]{1,8}", bytes()).prop_map(|(name, options)| It::Platform { name, options }),
    ]
}

fn setting() -> BoxedStrategy<Setting> {
    use Setting as It;
    let stream = prop::sample::select(vec![Stream::Input, Stream::Output, Stream::Error]);
    let flag = any::<bool>;
    one_of![
        Just(It::NoAcks),
        flag().prop_map(It::NonStop),
        flag().prop_map(It::ThreadEvents),
        flag().prop_map(It::FixedAddresses),
        flag().prop_map(It::FixedAddressesLldb),
        flag().prop_map(It::StartWithShell),
        flag().prop_map(It::DetachOnError),
        bytes().prop_map(It::PassSignals),
        bytes().prop_map(It::ProgramSignals),
        maybe(vec(any::<u32>(), 0..4)).prop_map(It::CatchSyscalls),
        bytes().prop_map(It::Environment),
        bytes().prop_map(It::EnvironmentPlain),
        bytes().prop_map(It::EnvironmentUnset),
        Just(It::EnvironmentReset),
        bytes().prop_map(It::WorkingDir),
        (stream, bytes()).prop_map(|(stream, path)| It::Redirect(stream, path)),
        ".{0,10}".prop_map(It::LaunchArch),
        Just(It::ThreadSuffix),
        Just(It::ThreadsInStopReply),
        Just(It::ErrorStrings),
    ]
}

pub(crate) fn request() -> BoxedStrategy<Request> {
    one_of![
        registers().prop_map(Request::Registers),
        memory().prop_map(Request::Memory),
        points().prop_map(Request::Point),
        run().prop_map(Request::Run),
        process().prop_map(Request::Process),
        threads().prop_map(Request::Threads),
        files().prop_map(Request::File),
        transfers().prop_map(Request::Transfer),
        query().prop_map(Request::Query),
        lldb().prop_map(Request::Lldb),
        setting().prop_map(Request::Setting),
        vec(any::<u8>(), 0..20).prop_map(|mut rest| {
            rest.insert(0, b'=');
            Request::Unknown(rest)
        }),
    ]
}
