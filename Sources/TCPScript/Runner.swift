public import TCPSockets
internal import TCPWire

/// Plays a script against a stack, in virtual time.
public final class Runner {
    /// What a run is told.
    public struct Options: Sendable {
        /// Whose figures the script counts on; `nil` is found out by `Platform.guess`.
        public var platform: Platform?
        /// The version of IP for scripts that do not name one; `nil` is IPv4. Over IPv6 the MTU is 20 octets greater where a script sets
        /// none, so that segments have the same size.
        public var family: Family?
        /// A library with the table of calls that packetdrill loads, to play scripts on the stack behind it; `nil` is this one, directly.
        public var library: String?
        /// Whether a packet that no line of the script expects fails it, at the latest when the script ends.
        public var isStrict = false

        /// The defaults.
        public init() {}
    }

    let script: Script
    let options: Options
    let kernel: any ScriptKernel
    let start: Instant
    var calls: CallBuilder
    var environment: Environment { calls.environment }
    let matcher: Matcher
    var evaluator = Evaluator()

    var conversations: [Conversation] = []
    /// The conversation that packets without ports belong to.
    var current: Int?
    /// A `connect` whose SYN was not seen yet.
    var expectedPeer: Endpoint?
    /// The descriptor that `%{ … }%` asks about.
    var inspected: Int32?
    /// Packets that were taken from the kernel and not compared yet.
    var waiting: [Observation] = []
    /// The call that blocks.
    var blocked: Blocked?
    /// The port that `bind` gave last.
    var listeningPort: UInt16
    /// The script has written octets of its own choice, so that those on the wire cannot be known by their place.
    var hasForeignOctets = false
    /// Octets that were written to and read from each descriptor.
    var written: [Int32: Int] = [:]
    var read: [Int32: Int] = [:]
    /// The time of the event before, by the script or, where it left it open, by the clock: what relative times count from.
    var base: Instant

    /// A call that was made and has not returned.
    struct Blocked {
        var id: CallID
        var event: ScriptEvent
        var call: SocketCall
        var end: Instant
        var tolerance: Int64
    }

    private init(_ script: Script, _ environment: Environment, _ options: Options, _ kernel: any ScriptKernel) {
        self.script = script
        self.options = options
        self.kernel = kernel
        start = kernel.now
        base = start
        calls = CallBuilder(environment: environment)
        listeningPort = environment.localPort
        matcher = Matcher(
            timestampTick: environment.timestampTick, timestampTolerance: environment.tolerance,
            marksTrains: environment.platform == .linux)
    }

    /// Plays a script.
    ///
    /// - Parameter makeKernel: makes what it is played on, with these settings; if nothing is said, the library that the
    ///   options name, or a virtual kernel of the script's own.
    public static func run(
        _ script: Script, options: Options = Options(),
        on makeKernel: ((KernelSettings) -> any ScriptKernel)? = nil
    ) -> Report {
        do throws(Environment.Unavailable) {
            var script = script
            var environment = try Environment(
                script, platform: options.platform ?? Platform.guess(for: script), family: options.family)
            // Commands before anything has happened are part of the set-up, whatever their time.
            while case .command(let command)? = script.events.first?.action, script.events.count > 1 {
                try environment.apply(command)
                script.rebaseAfterFirst()
            }
            let kernel: any ScriptKernel
            if let makeKernel {
                kernel = makeKernel(environment.settings)
            } else if let library = options.library {
                do throws(TableError) {
                    kernel = try TableKernel(library: library, environment.settings)
                } catch {
                    let place = SourcePosition(line: 1, column: 1)
                    let failure = Report.Failure(position: place, reason: error.reason, expected: "")
                    return Report(file: script.name, outcome: .failed(failure))
                }
            } else {
                kernel = DirectKernel(environment.settings)
            }
            return Runner(script, environment, options, kernel).report()
        } catch {
            return Report(file: script.name, outcome: .skipped(error.reason, at: error.position))
        }
    }

    /// Reads a script and plays it.
    public static func run(_ text: [UInt8], name: String, options: Options = Options()) -> Report {
        do throws(ScriptError) {
            return run(try Parser.parse(text, name: name), options: options)
        } catch {
            return Report(
                file: name,
                outcome: .failed(
                    .init(
                        position: error.position, reason: "column \(error.position.column): \(error.message)",
                        expected: "")))
        }
    }

    /// Why a script ends before its end.
    enum Stop: Error {
        case failed(reason: String, got: String?, at: ScriptEvent? = nil)
        case unavailable(String)
    }

    private func report() -> Report {
        var outcome = Report.Outcome.passed
        for event in script.events {
            do throws(Stop) {
                try play(event)
            } catch {
                outcome = self.outcome(of: error, at: event)
                break
            }
        }
        if outcome == .passed, let last = script.events.last {
            do throws(Stop) {
                try finishBlocked()
                if options.isStrict { try expectSilence() }
            } catch {
                outcome = self.outcome(of: error, at: last)
            }
        }
        return Report(file: script.name, outcome: outcome, output: evaluator.output)
    }

    private func outcome(of stop: Stop, at event: ScriptEvent) -> Report.Outcome {
        switch stop {
        case .unavailable(let reason): return .skipped(reason, at: event.position)
        case .failed(let reason, let got, let other):
            let event = other ?? event
            return .failed(
                .init(
                    position: event.position, reason: reason, expected: event.text, got: got,
                    connections: kernel.describeConnections()))
        }
    }

    // MARK: Time

    /// The earliest and the latest an event may happen.
    private func span(of time: EventTime) -> (earliest: Instant, latest: Instant) {
        switch time {
        case .absolute(let time): (at(start, time), at(start, time))
        case .relative(let time): (at(base, time), at(base, time))
        case .any: (kernel.now, .distantFuture)
        case .absoluteRange(let first, let last): (at(start, first), at(start, last))
        case .relativeRange(let first, let last): (at(base, first), at(base, last))
        }
    }

    private func at(_ origin: Instant, _ time: Int64) -> Instant { origin.advanced(byNanoseconds: time) }

    /// How far off `time` may be: the greater of a fixed figure and of a part of the time since the event before.
    private func tolerance(at time: Instant) -> Int64 {
        let elapsed = max(0, (time - base).nanoseconds)
        let part = Double(elapsed) * environment.tolerancePercent / 100
        return max(environment.tolerance, part < 1e18 ? Int64(part) : Int64.max)
    }

    private func play(_ event: ScriptEvent) throws(Stop) {
        let (earliest, latest) = span(of: event.time)
        switch event.action {
        case .packet(let packet) where packet.direction == .outbound:
            let time = try expect(packet, event, earliest, latest)
            base = event.time.isOpen ? time : earliest
            return try pollBlocked()
        case .call: try finishBlocked()
        default: break
        }
        // What the time leaves open happens at once.
        let due = event.time == .any ? kernel.now : earliest
        let limit = tolerance(at: due)
        kernel.advance(to: due)
        try pollBlocked()
        if kernel.now > latest.advanced(byNanoseconds: limit) {
            throw .failed(
                reason: "the script is late: it is \(clock(kernel.now)), and the event was for \(clock(latest))",
                got: nil)
        }
        switch event.action {
        case .packet(let packet): try inject(packet)
        case .call(let call): try make(call, event, limit)
        case .command(let command): try run(command)
        case .code(let block): try run(block, event)
        }
        base = event.time.isOpen ? kernel.now : earliest
        try pollBlocked()
    }

    /// A time as the script counts it.
    func clock(_ time: Instant) -> String { EventTime.seconds((time - start).nanoseconds) }

    // MARK: Packets

    /// Waits for the packet and compares it. Gives the time it left.
    private func expect(
        _ packet: PacketPattern, _ event: ScriptEvent, _ earliest: Instant, _ latest: Instant
    ) throws(Stop) -> Instant {
        let open = latest == .distantFuture
        let limit = open ? Instant.distantFuture : latest.advanced(byNanoseconds: tolerance(at: latest))
        // A packet that comes too late is told apart from one that never comes.
        let patience = open ? kernel.now.advanced(byNanoseconds: 3_600_000_000_000) : at(limit, 10_000_000_000)
        guard packet.headers.allSatisfy({ if case .ip = $0 { true } else { false } }) else {
            throw .unavailable("packets within \(packet.headers.count) other headers do not leave this stack")
        }
        guard let observation = try next(packet, before: patience) else {
            throw .failed(reason: "no packet left by \(clock(limit))", got: nil)
        }
        try compare(observation, packet)
        let slack = tolerance(at: earliest)
        if observation.time < earliest.advanced(byNanoseconds: -slack), !open {
            throw .failed(
                reason: "the packet left at \(clock(observation.time)), before \(clock(earliest))",
                got: text(of: observation, expected: packet))
        }
        if observation.time > limit {
            throw .failed(
                reason: "the packet left at \(clock(observation.time)), after \(clock(latest))",
                got: text(of: observation, expected: packet))
        }
        return observation.time
    }

    // MARK: Blocks

    private func run(_ command: ScriptCommand) throws(Stop) {
        var changed = environment
        do throws(Environment.Unavailable) {
            try changed.apply(command)
        } catch {
            throw .unavailable(error.reason)
        }
        // A figure that is the same already is no change.
        guard "\(changed.settings)" == "\(environment.settings)" else {
            throw .unavailable("'\(command.text)' changes a figure of a stack that runs")
        }
    }

    private func run(_ block: CodeBlock, _ event: ScriptEvent) throws(Stop) {
        let information = inspected.flatMap { kernel.information(of: $0) }
        do throws(CodeFailure) {
            try evaluator.run(block) { name in
                if name.hasPrefix("tcpi_") { return information?[name].map { .integer($0) } }
                return Linux.value(of: name).map { .integer(Int64($0)) }
            }
        } catch {
            if error.isAssertion || information == nil { throw .failed(reason: error.message, got: nil) }
            throw .unavailable(error.message)
        }
    }
}

extension EventTime {
    /// Whether the next relative time counts from when the event really happened.
    var isOpen: Bool {
        switch self {
        case .absolute, .relative: false
        case .any, .absoluteRange, .relativeRange: true
        }
    }
}

extension Script {
    /// Takes the first event away. The time of the next goes on counting from where it did.
    mutating func rebaseAfterFirst() {
        let first = events.removeFirst()
        guard case .relative(let next) = events[0].time else { return }
        switch first.time {
        case .absolute(let time), .relative(let time): events[0].time = .relative(time + next)
        default: break
        }
    }
}
