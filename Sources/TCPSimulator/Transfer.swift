internal import TCPEngine
public import TCPStack
public import TCPTrace
public import TCPWire

/// A bulk transfer over a link with limits and faults: what a connection makes of it.
public struct Transfer: Sendable {
    /// Octets the client sends.
    public var bytes: Int
    /// Octets the server sends at the same time.
    public var replyBytes = 0
    /// The link.
    public var link: LinkConfiguration
    /// What it does wrong, in both directions.
    public var faults: LinkFaults
    /// Seed and family.
    public var options: SceneOptions
    /// What both stacks are told.
    public var configuration = Configuration()
    /// The clock's first reading.
    public var start = Instant.zero

    /// What came of it.
    public struct Report: Sendable {
        /// Octets read at the server.
        public var delivered: Int
        /// Whether all octets both ways arrived as they were sent.
        public var isIntact: Bool
        /// Seconds of virtual time from the call of connect to the last octet read.
        public var seconds: Double
        /// Octets delivered from client to server, in bits a second.
        public var goodput: Double
        /// Goodput as a share of the link's rate; `nil` without one.
        public var share: Double?
        /// Segments sent again, by both ends.
        public var retransmitted: Int
        /// Packets the network did not carry in good order, both ways.
        public var lost: Int
        /// Packets that a stack refused because a checksum was wrong, both ways.
        public var badChecksums: Int
        /// How the run ended: `idle` unless something hangs.
        public var outcome: Simulation.Outcome
        /// What the client's stack holds when all is over, TIME-WAIT too.
        public var clientMemory: MemoryReport
        /// The same of the server's.
        public var serverMemory: MemoryReport
        /// What the client's stack held when both directions had closed, TIME-WAIT going on.
        public var closedClientMemory: MemoryReport
        /// The same of the server's.
        public var closedServerMemory: MemoryReport
    }

    /// Makes a transfer.
    public init(
        bytes: Int, link: LinkConfiguration = LinkConfiguration(), faults: LinkFaults = LinkFaults(),
        options: SceneOptions = SceneOptions()
    ) {
        self.bytes = bytes
        self.link = link
        self.faults = faults
        self.options = options
    }

    /// Runs it to the end.
    ///
    /// - Parameters:
    ///   - observer: Sees every event when it happens.
    ///   - progress: Called now and then with the octets delivered so far.
    public func run(
        observer: ((TraceEvent, TracedSegment?) -> Void)? = nil, progress: ((Int) -> Void)? = nil
    ) -> Report {
        let simulation = Simulation(seed: options.seed, start: start)
        simulation.observer = observer
        var configuration = configuration
        configuration.recordsStateChanges = observer != nil
        let client = simulation.addHost(
            "client", addresses: [options.ipv6 ? "fd00::1/64" : "10.0.0.1/24"], configuration: configuration)
        let server = simulation.addHost(
            "server", addresses: [options.ipv6 ? "fd00::2/64" : "10.0.0.2/24"], configuration: configuration)
        let link = simulation.addLink(client, server, link)
        link.forward.faults = faults
        link.backward.faults = faults
        let (request, reply) = (
            PayloadPattern(seed: options.seed &* 2), PayloadPattern(seed: options.seed &* 2 &+ 1)
        )
        let sender = StreamApplication(sending: bytes, pattern: request, expecting: reply)
        let receiver = StreamApplication(sending: replyBytes, pattern: reply, expecting: request)
        do throws(OpenError) {
            try server.listen(on: 80) { _ in receiver }
            try client.connect(to: server.endpoint(80, ipv6: options.ipv6), sender)
        } catch { preconditionFailure("a transfer's connection: \(error.explanation)") }

        var finished: Instant?
        var steps = 0
        simulation.run(limit: .seconds(1_000_000)) {
            steps &+= 1
            if steps & 0x3FFF == 0 { progress?(receiver.received) }
            if finished == nil, receiver.hasReadEnd || receiver.error != nil || sender.error != nil {
                finished = simulation.now
            }
            return isOver(sender, receiver, client, server)
        }
        let closed = (client.stack.memory, server.stack.memory)
        let outcome = simulation.runUntilIdle(limit: .seconds(1000))
        let elapsed = Double(((finished ?? simulation.now) - start).nanoseconds) / 1e9
        let goodput = elapsed > 0 ? Double(receiver.received) * 8 / elapsed : 0
        return Report(
            delivered: receiver.received,
            isIntact: receiver.isIntact && sender.isIntact && receiver.received == bytes
                && sender.received == replyBytes && receiver.hasReadEnd && sender.hasReadEnd,
            seconds: elapsed, goodput: goodput, share: self.link.rate.map { goodput / $0 },
            retransmitted: Int(
                client.stack.counters.segmentsRetransmitted + server.stack.counters.segmentsRetransmitted),
            lost: link.forward.lost + link.backward.lost,
            badChecksums: Int(client.stack.counters[.badChecksum] + server.stack.counters[.badChecksum]),
            outcome: outcome, clientMemory: client.stack.memory, serverMemory: server.stack.memory,
            closedClientMemory: closed.0, closedServerMemory: closed.1)
    }

    /// Whether both programs are done and no connection is left but in TIME-WAIT.
    private func isOver(
        _ sender: StreamApplication, _ receiver: StreamApplication, _ client: SimulatedHost, _ server: SimulatedHost
    ) -> Bool {
        let done = (sender.hasReadEnd || sender.error != nil) && (receiver.hasReadEnd || receiver.error != nil)
        guard done else { return false }
        let (here, there) = (client.stack.memory, server.stack.memory)
        return here.connectionCount == 0 && there.connectionCount == 0 && there.halfOpenCount == 0
    }
}
