internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// A transfer under way.
final class TransferRun {
    /// One connection, its programs, and when it began and ended.
    private final class Flow {
        let sender: StreamApplication
        let receiver: StreamApplication
        var opened: Instant?
        var over: Instant?
        /// Octets that had been read when the transfer's duration was over.
        var deliveredInTime: Int?

        init(_ sender: StreamApplication, _ receiver: StreamApplication) {
            self.sender = sender
            self.receiver = receiver
        }

        var delivered: Int { deliveredInTime ?? receiver.received }
    }

    /// What had been delivered at some time.
    private struct Sample {
        var time: Instant
        var delivered: [Int]
        var backlogOverTime: Double
    }

    private let transfer: Transfer
    private let simulation: Simulation
    private let client: SimulatedHost
    private let server: SimulatedHost
    private let link: Simulation.Link
    private var flows: [Flow] = []
    /// The flow of a client's port.
    private var ports: [UInt16: Int] = [:]
    /// Programs that are done, or failed.
    private var programsOver = 0
    private var togetherBegins: Sample?
    private var togetherEnds: Sample?

    init(_ transfer: Transfer, observer: ((TraceEvent, TracedSegment?) -> Void)?) {
        precondition(transfer.flows >= 1, "a transfer has at least one connection")
        self.transfer = transfer
        simulation = Simulation(seed: transfer.options.seed, start: transfer.start)
        simulation.observer = observer
        var configuration = transfer.configuration
        configuration.recordsStateChanges = observer != nil
        let ipv6 = transfer.options.ipv6
        client = simulation.addHost(
            "client", addresses: [ipv6 ? "fd00::1/64" : "10.0.0.1/24"], configuration: configuration)
        server = simulation.addHost(
            "server", addresses: [ipv6 ? "fd00::2/64" : "10.0.0.2/24"], configuration: configuration)
        link = simulation.addLink(client, server, transfer.link)
        link.forward.faults = transfer.faults
        link.backward.faults = transfer.replyFaults ?? transfer.faults
        for index in 0..<transfer.flows { flows.append(makeFlow(index)) }
    }

    private func makeFlow(_ index: Int) -> Flow {
        // Streams of different flows have nothing in common, so that octets of one in another are found out.
        let seed = transfer.options.seed &* 2 &+ UInt64(index) &* 0xD1B5_4A32_D192_ED03
        let (request, reply) = (PayloadPattern(seed: seed), PayloadPattern(seed: seed &+ 1))
        let flow = Flow(
            StreamApplication(
                sending: transfer.duration == nil ? transfer.bytes : .max, pattern: request, expecting: reply),
            StreamApplication(sending: transfer.replyBytes, pattern: reply, expecting: request))
        flow.sender.whenOver = { [unowned self, unowned flow] in
            programsOver += 1
            if flow.sender.error != nil { ended(flow) }
        }
        flow.receiver.whenOver = { [unowned self, unowned flow] in
            programsOver += 1
            ended(flow)
        }
        return flow
    }

    private func ended(_ flow: Flow) {
        guard flow.over == nil else { return }
        flow.over = simulation.now
        if togetherEnds == nil { togetherEnds = sample() }
    }

    private func sample() -> Sample {
        Sample(
            time: simulation.now, delivered: flows.map(\.receiver.received),
            backlogOverTime: link.forward.backlogOverTime(until: simulation.now))
    }

    // MARK: Running

    func report(progress: ((Int) -> Void)?) -> Transfer.Report {
        begin()
        var steps = 0
        simulation.run(limit: .seconds(1_000_000)) {
            steps &+= 1
            if steps & 0x3FFF == 0 { progress?(flows.reduce(0) { $0 + $1.receiver.received }) }
            return isOver
        }
        let closed = (client.stack.memory, server.stack.memory)
        let outcome = simulation.runUntilIdle(limit: .seconds(1000))
        return report(outcome, closed)
    }

    private func begin() {
        do throws(OpenError) {
            try server.listen(on: 80, backlog: max(128, flows.count)) { [unowned self] connection in
                ports[connection.remote.port].map { flows[$0].receiver } ?? StreamApplication()
            }
        } catch { preconditionFailure("a transfer's listener: \(error.explanation)") }
        for index in flows.indices {
            let delay = Duration.nanoseconds(transfer.stagger.nanoseconds &* Int64(index))
            if delay == .zero { open(index) } else { simulation.after(delay) { [unowned self] in open(index) } }
        }
        if let duration = transfer.duration {
            simulation.after(duration) { [unowned self] in stop() }
        }
    }

    private func open(_ index: Int) {
        let flow = flows[index]
        flow.opened = simulation.now
        var options = ConnectionOptions()
        if !transfer.congestion.isEmpty {
            options.congestionControl = transfer.congestion[index % transfer.congestion.count]
        }
        do throws(OpenError) {
            let connection = try client.connect(
                to: server.endpoint(80, ipv6: transfer.options.ipv6), options: options, flow.sender)
            ports[connection.local.port] = index
        } catch { preconditionFailure("a transfer's connection: \(error.explanation)") }
        guard index == flows.count - 1 else { return }
        if transfer.warmUp == .zero {
            togetherBegins = sample()
        } else {
            simulation.after(transfer.warmUp) { [unowned self] in togetherBegins = sample() }
        }
    }

    /// The transfer's duration is over.
    private func stop() {
        if togetherEnds == nil { togetherEnds = sample() }
        for flow in flows {
            flow.deliveredInTime = flow.receiver.received
            flow.sender.stopWriting()
        }
    }

    /// Whether all programs are done and no connection is left but in TIME-WAIT.
    private var isOver: Bool {
        guard programsOver == 2 * flows.count else { return false }
        let (here, there) = (client.stack.memory, server.stack.memory)
        return here.connectionCount == 0 && there.connectionCount == 0 && there.halfOpenCount == 0
    }

    // MARK: What came of it

    private var together: Transfer.Together? {
        guard let begin = togetherBegins, let end = togetherEnds, end.time > begin.time else { return nil }
        let seconds = Double((end.time - begin.time).nanoseconds) / 1e9
        return Transfer.Together(
            seconds: seconds, delivered: zip(begin.delivered, end.delivered).map { $1 - $0 },
            meanBacklog: (end.backlogOverTime - begin.backlogOverTime) / seconds)
    }

    private var isIntact: Bool {
        flows.allSatisfy { flow in
            let (sender, receiver) = (flow.sender, flow.receiver)
            return receiver.isIntact && sender.isIntact && receiver.received == sender.toSend
                && sender.received == transfer.replyBytes && receiver.hasReadEnd && sender.hasReadEnd
        }
    }

    private func result(of flow: Flow) -> Transfer.Flow {
        var end = flow.over ?? simulation.now
        if let duration = transfer.duration { end = min(end, transfer.start + duration) }
        let elapsed = flow.opened.map { Double((end - $0).nanoseconds) / 1e9 } ?? 0
        return Transfer.Flow(delivered: flow.delivered, seconds: max(0, elapsed))
    }

    private func report(
        _ outcome: Simulation.Outcome, _ closed: (client: MemoryReport, server: MemoryReport)
    ) -> Transfer.Report {
        let end = transfer.duration.map { transfer.start + $0 } ?? flows.compactMap(\.over).max() ?? simulation.now
        let elapsed = Double((end - transfer.start).nanoseconds) / 1e9
        let delivered = flows.reduce(0) { $0 + $1.delivered }
        let goodput = elapsed > 0 ? Double(delivered) * 8 / elapsed : 0
        let results = flows.map(result)
        let (forward, backward) = (link.forward, link.backward)
        let (counters, replies) = (client.stack.counters, server.stack.counters)
        let isOneWay = transfer.replyBytes == 0 && !transfer.link.superSegments
        let together = together
        return Transfer.Report(
            delivered: delivered, isIntact: isIntact, seconds: elapsed, goodput: goodput,
            share: transfer.link.rate.map { goodput / $0 }, flows: results, together: together,
            jain: Transfer.jain(together.map { $0.delivered.map(Double.init) } ?? results.map(\.goodput)),
            retransmitted: Int(counters.segmentsRetransmitted + replies.segmentsRetransmitted),
            needless: isOneWay ? max(0, Int(counters.segmentsRetransmitted) - forward.lost) : nil,
            lost: forward.lost + backward.lost, dropped: forward.dropped + backward.dropped,
            marked: forward.marked + backward.marked, highestBacklog: forward.highestBacklog,
            badChecksums: Int(counters[.badChecksum] + replies[.badChecksum]),
            packets: forward.offered + backward.offered, outcome: outcome, clientMemory: client.stack.memory,
            serverMemory: server.stack.memory, closedClientMemory: closed.client, closedServerMemory: closed.server)
    }
}
