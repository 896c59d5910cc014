import Glibc
import TCPRuntime
import TCPSimulator
import TCPWire

/// Our TCP and the kernel's over one bad wire.
let wireBenchmarks = [
    Benchmark(
        name: "wire",
        summary: "completion times over a wire of 50 Mbit/s, 20 ms and losses: the kernel's CUBIC and ours, each way"
    ) { context in
        try WireBenchmark(quick: context.isQuick, only: context.only).run(context.report)
    }
]

/// The simulator's link in real time between two ends, of which one or both are the kernel's: what the kernel takes for
/// an exchange with itself, and what it takes with ours as the sender, and as the receiver. Pairs take turns, so that a
/// busy moment of the machine meets all alike, and all pairs of a round meet the same losses.
struct WireBenchmark {
    let quick: Bool
    let only: String?

    private var rounds: Int { quick ? 3 : 9 }
    /// At most what our times may be of the kernel's.
    private static let wanted = 1.1

    /// What a run came to.
    private struct Run {
        var seconds: Double
        /// Segments of the bulk sent again.
        var repeated: Int
        /// Packets of either direction that were lost on the wire, or found its queue full.
        var lost: Int
    }

    /// How true the wire was to its times over all the runs of a scenario.
    private struct Fidelity {
        /// Of each packet, in nanoseconds, when it was handed over.
        var lateness: [Int64] = []
        /// What one kernel took to connect to the other, in milliseconds: the wire's delay, and all that came on top.
        var connects: [Double] = []
        var refused = 0
    }

    func run(_ report: Report) throws {
        guard geteuid() == 0, access("/dev/net/tun", R_OK | W_OK) == 0 else {
            throw BenchmarkFailure("the wire between kernels needs root and /dev/net/tun")
        }
        let scenarios = try WireScenario.chosen(quick: quick, only: only)
        signal(SIGPIPE, SIG_IGN)
        let place = try WirePlace()
        if !setPriority(realTime: true) { report.note("without real-time priority: the wire is late when others run") }
        defer { _ = setPriority(realTime: false) }
        for scenario in scenarios {
            try measure(scenario, quick ? scenario.quickExchange : scenario.exchange, place, report)
        }
    }

    /// What else the machine does would make the wire late by whole time slices, whatever its nice value: those only
    /// count within a session. The threads of the kernel's programs inherit it, so that all hosts are alike.
    private func setPriority(realTime: Bool) -> Bool {
        var parameters = sched_param()
        parameters.sched_priority = realTime ? 1 : 0
        return sched_setscheduler(0, realTime ? SCHED_FIFO : SCHED_OTHER, &parameters) == 0
    }

    private func measure(
        _ scenario: WireScenario, _ exchange: WireExchange, _ place: WirePlace, _ report: Report
    ) throws {
        var runs: [WirePair: [Run]] = [:]
        var fidelity = Fidelity()
        for round in 0..<rounds {
            let seed = UInt64(1 + round)
            // The kernel goes first and last by turns.
            let pairs = round % 2 == 0 ? WirePair.allCases : WirePair.allCases.reversed()
            for pair in pairs {
                runs[pair, default: []].append(try run(scenario, exchange, pair, seed, place, &fidelity))
            }
        }
        func figure(_ pair: WirePair, _ value: (Run) -> Double) -> Double { median(runs[pair]!.map(value)) }
        let kernel = figure(.kernelToKernel) { $0.seconds }
        for pair in WirePair.allCases {
            report.add(scenario.name, pair.rawValue, figure(pair) { $0.seconds }, "s")
        }
        for pair in [WirePair.oursToKernel, .kernelToOurs] {
            // Of medians; and the median over rounds, in each of which both met the same losses.
            let rounds = zip(runs[pair]!, runs[.kernelToKernel]!).map { $0.seconds / $1.seconds }
            report.add(
                scenario.name, "\(pair.rawValue), share", figure(pair) { $0.seconds } / kernel,
                "x (at most \(WireBenchmark.wanted) wanted)")
            report.add(scenario.name, "\(pair.rawValue), by round", median(rounds), "x")
        }
        for pair in WirePair.allCases {
            let times = runs[pair]!.map(\.seconds).sorted()
            let (lost, repeated) = (figure(pair) { Double($0.lost) }, figure(pair) { Double($0.repeated) })
            report.note(
                "  \(pair.rawValue): \(readable(times.first!)) to \(readable(times.last!)) s, lost on the wire "
                    + "\(readable(lost)), sent again \(readable(repeated))")
            report.record(scenario.name, "\(pair.rawValue), lost", lost, "packets")
            report.record(scenario.name, "\(pair.rawValue), again", repeated, "segments")
        }
        report.add(scenario.name, "runs that arrived whole", Double(runs.values.reduce(0) { $0 + $1.count }), "runs")
        try add(fidelity, scenario.name, report)
    }

    private func add(_ fidelity: Fidelity, _ name: String, _ report: Report) throws {
        let lateness = fidelity.lateness.sorted()
        guard !lateness.isEmpty else { throw BenchmarkFailure("the wire carried nothing") }
        for (share, text) in [(50.0, "p50"), (99, "p99"), (99.9, "p99.9")] {
            let index = min(lateness.count - 1, Int(Double(lateness.count) * share / 100))
            report.add(name, "the wire was late, \(text)", Double(lateness[index]) / 1000, "us")
        }
        let late = lateness.reversed().prefix { $0 > 1_000_000 }.count
        report.add(name, "packets late by over 1 ms", Double(late), "of \(lateness.count)")
        report.add(name, "a connect of 20 ms took", median(fidelity.connects), "ms")
        if fidelity.refused > 0 { report.add(name, "packets a kernel refused", Double(fidelity.refused), "") }
    }

    /// One exchange between one pair.
    private func run(
        _ scenario: WireScenario, _ exchange: WireExchange, _ pair: WirePair, _ seed: UInt64, _ place: WirePlace,
        _ fidelity: inout Fidelity
    ) throws -> Run {
        let (wire, bulk) = scenario.wire(seed: seed)
        let stack = try pair.ours.map { end in
            (end: end, stack: try WireStack(exchange, at: end, seed: seed, MonotonicClock.now()))
        }
        let loop = try WireLoop(wire, place, stack)
        try loop.drain()
        let kernels = try kernelEnds(exchange, besides: pair.ours, place)
        let ended: Bool
        do {
            ended = try loop.run(limit: .seconds(90), linger: .milliseconds(100)) {
                kernels.contains(where: \.thread.hasFailed)
                    || kernels.allSatisfy(\.thread.hasEnded) && stack?.stack.isDone ?? true
            }
        } catch {
            // They wait for the wire, but not for ever; and what they met may be what it came from.
            var failures = ["\(error)"]
            for kernel in kernels {
                do { _ = try kernel.thread.join() } catch { failures.append("\(error)") }
            }
            throw BenchmarkFailure("\(scenario.name), \(pair.rawValue): \(failures.joined(separator: "; "))")
        }
        var outcomes = try kernels.map { (end: $0.end, outcome: try $0.thread.join()) }
        guard ended else { throw BenchmarkFailure("\(scenario.name), \(pair.rawValue): no end within 90 s") }
        if let stack { outcomes.append((end: stack.end, outcome: stack.stack.outcome)) }
        let opener = outcomes.first { $0.end == exchange.active }!.outcome
        let receiver = outcomes.first { $0.end == .right }!.outcome
        guard receiver.octets == exchange.expected, receiver.completed.count == opener.started.count else {
            throw BenchmarkFailure("\(scenario.name), \(pair.rawValue): \(receiver.octets) octets arrived")
        }
        fidelity.lateness += loop.lateness
        fidelity.refused += loop.refused
        if pair == .kernelToKernel {
            fidelity.connects += zip(opener.started, opener.opened).map { Double(($1 - $0).nanoseconds) / 1e6 }
        }
        return Run(
            seconds: WireOutcome.seconds(opener: opener, receiver: receiver), repeated: bulk.repeated,
            lost: wire.direction(from: .left).lost + wire.direction(from: .right).lost)
    }

    /// Starts the programs of the ends that are the kernel's, the one that answers first.
    private func kernelEnds(
        _ exchange: WireExchange, besides ours: Wire.End?, _ place: WirePlace
    ) throws -> [(end: Wire.End, thread: NamespaceThread<WireOutcome>)] {
        let passive = exchange.active.opposite
        return try [passive, exchange.active].filter { $0 != ours }.map { end in
            let site = end == .left ? place.left : place.right
            let peer = end == .left ? WirePlace.rightAddress : WirePlace.leftAddress
            let answers = end == passive
            let thread = try NamespaceThread(site.space.file) {
                answers
                    ? try WireKernel.answer(exchange, site.listener) : try WireKernel.open(exchange, to: peer)
            }
            return (end: end, thread: thread)
        }
    }
}
