internal import TCPEngine
public import TCPStack
internal import TCPTrace
public import TCPWire

/// A host with a stack of its own, and programs on it.
public final class SimulatedHost: SimulatedNode {
    /// The stack. Programs call it through `SimulatedConnection`; after direct calls, call `pump()`.
    public var stack: Stack
    /// What the stack was made with.
    public private(set) var configuration: Configuration
    /// Whether the host runs: a dead one takes no packet and sends none.
    public private(set) var isAlive = true
    /// The connections whose programs hold them.
    public private(set) var connections: [ConnectionID: SimulatedConnection] = [:]
    /// The first of them in the order of opening, for scenarios with one connection a host.
    public private(set) var firstConnection: SimulatedConnection?

    private var listeners: [ListenerID: (SimulatedConnection) -> any SimulatedApplication] = [:]
    private var paused: Set<ListenerID> = []
    private let index: Int
    private var boots: UInt64 = 0
    private var isPumping = false
    /// A packet that the link had no room for.
    private var waiting: Packet?

    init(
        name: String, addresses: [AddressPrefix], simulation: Simulation, configuration: Configuration, index: Int
    ) {
        self.index = index
        self.configuration = configuration
        stack = Stack(
            configuration: configuration, secret: SimulatedHost.secret(simulation.seed, index, 0), at: simulation.now)
        super.init(name: name, addresses: addresses, simulation: simulation)
        for prefix in addresses { stack.addAddress(prefix) }
    }

    private static func secret(_ seed: UInt64, _ index: Int, _ boots: UInt64) -> StackSecret {
        var random = SimulationRandom(seed: seed ^ UInt64(index + 1) &* 0xA076_1D64_78BD_642F ^ boots &<< 32)
        return StackSecret(random.next(), random.next())
    }

    override var isReachable: Bool { isAlive }

    /// Takes over what the link says of packets. The stack is made anew, so links come before connections.
    func adopt(_ link: LinkConfiguration) {
        configuration.mtu = link.mtu
        configuration.superSegments = link.superSegments
        configuration.checksumOffload = link.checksumOffload
        configuration.recordsStateChanges = configuration.recordsStateChanges || simulation.isTracing
        makeStack()
    }

    private func makeStack() {
        stack = Stack(
            configuration: configuration, secret: SimulatedHost.secret(simulation.seed, index, boots),
            at: simulation.now)
        for prefix in addresses { stack.addAddress(prefix) }
    }

    // MARK: Failures

    /// The power fails: nothing is sent any more, and nothing is known any more.
    public func crash() {
        record(.crash)
        isAlive = false
        connections = [:]
        listeners = [:]
        firstConnection = nil
        waiting = nil
    }

    /// The host comes back with an empty stack and fresh secrets.
    public func restart() {
        boots += 1
        isAlive = true
        makeStack()
        record(.restart)
    }

    private func record(_ action: ApplicationAction) {
        let here = Endpoint(addresses[0].address, 0)
        simulation.record(
            .action(TracedAction(time: simulation.now, end: name, local: here, remote: here, action: action)))
    }

    // MARK: Opening

    /// Waits for connections on `port`, and gives each to a program of its own.
    ///
    /// - Throws: what `Stack.listen` throws.
    @discardableResult
    public func listen(
        on port: UInt16, backlog: Int = 128, options: ConnectionOptions = ConnectionOptions(),
        _ program: @escaping (SimulatedConnection) -> any SimulatedApplication
    ) throws(OpenError) -> ListenerID {
        let listener = try stack.listen(on: port, backlog: backlog, options: options, at: simulation.now)
        listeners[listener] = program
        drainStateChanges()
        return listener
    }

    /// Whether the program behind a listener calls accept. While it does not, connections wait in the accept queue.
    public func setAccepting(_ accepting: Bool, on listener: ListenerID) {
        if accepting {
            paused.remove(listener)
            accept(listener)
            pump()
        } else {
            paused.insert(listener)
        }
    }

    /// Stops waiting on a listener.
    public func stopListening(_ listener: ListenerID) {
        listeners[listener] = nil
        stack.stopListening(listener, at: simulation.now)
        pump()
    }

    /// Opens a connection and gives it to a program.
    ///
    /// - Throws: what `Stack.connect` throws.
    @discardableResult
    public func connect(
        to remote: Endpoint, port: UInt16 = 0, options: ConnectionOptions = ConnectionOptions(),
        _ program: any SimulatedApplication
    ) throws(OpenError) -> SimulatedConnection {
        let id = try stack.connect(to: remote, port: port, options: options, at: simulation.now)
        let connection = adopt(id, fallback: remote)
        connection.application = program
        connection.record(.connect)
        program.started(connection)
        pump()
        return connection
    }

    private func adopt(_ id: ConnectionID, fallback remote: Endpoint) -> SimulatedConnection {
        let status = stack.status(of: id)
        let connection = SimulatedConnection(
            host: self, id: id, local: status?.local ?? Endpoint(addresses[0].address, 0),
            remote: status?.remote ?? remote)
        connections[id] = connection
        if firstConnection == nil { firstConnection = connection }
        return connection
    }

    private func accept(_ listener: ListenerID) {
        guard let program = listeners[listener], !paused.contains(listener) else { return }
        while let id = stack.accept(listener) {
            let connection = adopt(id, fallback: Endpoint(addresses[0].address, 0))
            connection.record(.accept)
            let application = program(connection)
            connection.application = application
            application.started(connection)
        }
    }

    func forget(_ connection: SimulatedConnection) { connections[connection.id] = nil }

    // MARK: The loop

    override func receive(_ packet: Packet) {
        var metadata = PacketMetadata()
        metadata.isChecksumTrusted = packet.isTrusted
        metadata.segmentSize = packet.segmentSize
        let bytes = packet.bytes
        stack.receive(bytes.span.bytes.extracting(0..<packet.length), metadata: metadata, at: simulation.now)
        pump()
    }

    override func linkHasRoom() { pump() }

    func advance() {
        stack.advance(to: simulation.now)
        pump()
    }

    /// Lets programs see what happened, and sends what there is to send.
    public func pump() {
        guard !isPumping, isAlive else { return }
        isPumping = true
        defer { isPumping = false }
        repeat {
            drainStateChanges()
            while let event = stack.nextEvent() { handle(event) }
            drainStateChanges()
            if !transmitAll() { break }
        } while isAlive
        drainStateChanges()
    }

    private func handle(_ event: StackEvent) {
        switch event {
        case .acceptable(let listener):
            drainStateChanges()
            accept(listener)
        case .datagrams: break
        case .connection(let id, let readiness):
            drainStateChanges()
            guard let connection = connections[id] else { return }
            connection.application?.changed(readiness, connection)
        }
    }

    func drainStateChanges() {
        guard configuration.recordsStateChanges else { return }
        var pending: StateChange?
        while let change = stack.nextStateChange() {
            // A segment that confirms the FIN and brings the peer's leaves FIN-WAIT-1 for TIME-WAIT (RFC 9293
            // §3.10.7.4, eighth step). FIN-WAIT-2 is then a step of its processing that nobody can observe.
            if let first = pending, first.to == .finWait2, change.from == .finWait2, change.to == .timeWait,
                first.time == change.time, first.local == change.local, first.remote == change.remote
            {
                pending = StateChange(
                    time: change.time, local: change.local, remote: change.remote, from: first.from, to: .timeWait)
                continue
            }
            if let first = pending { record(first) }
            pending = change
        }
        if let last = pending { record(last) }
    }

    private func record(_ change: StateChange) {
        simulation.record(
            .state(
                TracedStateChange(
                    time: change.time, end: name, local: change.local, remote: change.remote, from: change.from,
                    to: change.to)))
    }

    /// Sends until nothing is left or the link says "not now". Whether anything was sent.
    private func transmitAll() -> Bool {
        var sent = false
        if let packet = waiting.take() {
            guard offer(packet) else { return false }
            sent = true
        }
        let size = configuration.superSegments ? 65_575 : max(configuration.mtu, 1500)
        while true {
            var buffer = simulation.takeBuffer(size)
            var span = buffer.mutableSpan
            var bytes = span.mutableBytes
            guard let transmitted = stack.transmit(into: &bytes, at: simulation.now) else {
                simulation.returnBuffer(buffer)
                return sent
            }
            drainStateChanges()
            let packet = Packet(
                bytes: buffer, length: transmitted.length, segmentSize: transmitted.segmentSize,
                unfinishedTransport: transmitted.isChecksumPartial ? transmitted.transportOffset : -1,
                destination: self)
            guard offer(packet) else { return sent }
            sent = true
        }
    }

    private func offer(_ packet: consuming Packet) -> Bool {
        let packet = packet
        if let direction = links.first, direction.configuration.whenFull == .waits,
            !direction.hasRoom(for: packet.length, at: simulation.now)
        {
            simulation.awaitRoom(on: direction, for: packet.length)
            waiting = packet
            return false
        }
        simulation.transmit(packet, from: self)
        return true
    }
}
