public import TCPStack
public import TCPTrace
public import TCPWire

/// Hosts joined by links, in virtual time: nothing waits, and the same seed gives the same bytes.
///
/// ```swift
/// let simulation = Simulation(seed: 1)
/// let client = simulation.addHost("client", addresses: ["10.0.0.1/24"])
/// let server = simulation.addHost("server", addresses: ["10.0.0.2/24"])
/// let link = simulation.addLink(client, server, LinkConfiguration(rate: 50e6, delay: .milliseconds(10)))
/// link.forward.faults.loss = 0.01
/// ```
///
/// A simulation is used by one thread at a time.
public final class Simulation {
    /// Why a run came to its end.
    public enum Outcome: Sendable, Hashable {
        /// Nothing is under way, and no timer runs.
        case idle
        /// What was asked for is the case.
        case satisfied
        /// The time given is over.
        case timeLimit
        /// A host asks for its timer again and again without letting time pass.
        case stuck
    }

    /// Both directions of a link.
    public struct Link {
        /// From the first node to the second.
        public let forward: LinkDirection
        /// From the second node to the first.
        public let backward: LinkDirection
    }

    /// The time.
    public private(set) var now: Instant
    /// Whether everything that happens is kept in `trace`.
    public var isTracing: Bool
    /// What happened, if it is kept. Its clock starts with the simulation's.
    public internal(set) var trace: Trace
    /// Sees everything that happens when it happens, kept or not; of an event about a segment, the segment too.
    public var observer: ((TraceEvent, TracedSegment?) -> Void)?
    /// Packets that wait in the network because their fate was `held`, in the order they were sent. A script runner or an
    /// explorer of schedules decides when each goes on.
    package private(set) var heldPackets: [HeldPacket] = []

    let seed: UInt64
    private var nodes: [SimulatedNode] = []
    private var hosts: [SimulatedHost] = []
    private var directions: [LinkDirection] = []
    private var queue = EventQueue()
    private var packets = SlotArray<Packet>()
    private var actions = SlotArray<() -> Void>()
    private var freeBuffers: [[UInt8]] = []
    private var segmentCount = 0

    /// An empty simulation.
    ///
    /// - Parameters:
    ///   - seed: What chance comes from, the hosts' secrets included.
    ///   - start: The clock's first reading.
    ///   - tracing: Whether `trace` keeps what happens.
    public init(seed: UInt64 = 1, start: Instant = .zero, tracing: Bool = false) {
        self.seed = seed
        now = start
        isTracing = tracing
        trace = Trace(start: start)
    }

    // MARK: Making the network

    /// Adds a host with a stack. Its link sets the MTU and the offloads of its configuration.
    ///
    /// - Parameter addresses: As text, `10.0.0.1/24`; it must be an address with a prefix length.
    public func addHost(
        _ name: String, addresses: [String], configuration: Configuration = Configuration()
    ) -> SimulatedHost {
        let host = SimulatedHost(
            name: name, addresses: addresses.map(Simulation.prefix), simulation: self, configuration: configuration,
            index: nodes.count)
        nodes.append(host)
        hosts.append(host)
        return host
    }

    /// Adds an end that a script plays. It owns every address of its prefixes.
    public func addScriptedHost(_ name: String, addresses: [String]) -> ScriptedHost {
        let host = ScriptedHost(name: name, addresses: addresses.map(Simulation.prefix), simulation: self)
        nodes.append(host)
        return host
    }

    /// Joins two nodes.
    @discardableResult
    public func addLink(
        _ first: SimulatedNode, _ second: SimulatedNode, _ configuration: LinkConfiguration = LinkConfiguration()
    ) -> Link {
        func direction(to node: SimulatedNode) -> LinkDirection {
            let index = directions.count
            let random = SimulationRandom(seed: SimulationRandom.mix(seed) &+ UInt64(index))
            let direction = LinkDirection(
                index: index, configuration: configuration, destination: node, random: random)
            directions.append(direction)
            return direction
        }
        let link = Link(forward: direction(to: second), backward: direction(to: first))
        first.links.append(link.forward)
        second.links.append(link.backward)
        for case let host as SimulatedHost in [first, second] { host.adopt(configuration) }
        return link
    }

    /// A prefix from its text.
    static func prefix(_ text: String) -> AddressPrefix {
        let parts = text.split(separator: "/")
        guard parts.count == 2, let address = IPAddress(parts[0]), let length = Int(parts[1]) else {
            preconditionFailure("\(text) is no address with a prefix length, such as 10.0.0.1/24")
        }
        return AddressPrefix(address, length: length)
    }

    // MARK: Running

    /// Runs `action` when `delay` is over.
    public func after(_ delay: Duration, _ action: @escaping () -> Void) {
        queue.push(.action, slot: actions.insert(action), at: (now + delay).nanoseconds)
    }

    /// Runs until nothing is under way and no timer runs, or until `limit` is over.
    @discardableResult
    public func runUntilIdle(limit: Duration = .seconds(86400)) -> Outcome {
        run(until: now + limit) { false }
    }

    /// Runs for `duration`, even if nothing happens.
    @discardableResult
    public func run(for duration: Duration) -> Outcome {
        let end = now + duration
        let outcome = run(until: end) { false }
        if outcome == .idle || outcome == .timeLimit { now = max(now, end) }
        return outcome
    }

    /// Runs until `condition`, which is asked after each step, holds; at most for `limit`.
    @discardableResult
    public func run(limit: Duration = .seconds(86400), until condition: () -> Bool) -> Outcome {
        run(until: now + limit, condition)
    }

    private func run(until end: Instant, _ condition: () -> Bool) -> Outcome {
        var stepsWithoutTime = 0
        if condition() { return .satisfied }
        while let next = nextTime {
            if next > end {
                now = max(now, end)
                return .timeLimit
            }
            let before = now
            step()
            if condition() { return .satisfied }
            stepsWithoutTime = now > before ? 0 : stepsWithoutTime + 1
            if stepsWithoutTime > 1_000_000 { return .stuck }
        }
        return .idle
    }

    /// When something happens next; `nil` if nothing will.
    package var nextTime: Instant? {
        var next = queue.earliest
        for host in hosts where host.isAlive {
            if let deadline = host.stack.nextDeadline?.nanoseconds, deadline < next ?? .max { next = deadline }
        }
        return next.map { Instant(nanoseconds: max($0, now.nanoseconds)) }
    }

    /// Lets the next thing happen: an arrival before a timer of the same time, so that an acknowledgment in the nick of
    /// time is one.
    package func step() {
        let arrival = queue.earliest
        var due: SimulatedHost?
        var deadline = arrival ?? .max
        for host in hosts where host.isAlive {
            if let time = host.stack.nextDeadline?.nanoseconds, time < deadline {
                deadline = time
                due = host
            }
        }
        if let due {
            now = max(now, Instant(nanoseconds: deadline))
            due.advance()
            return
        }
        guard let entry = queue.pop() else { return }
        now = max(now, Instant(nanoseconds: entry.time))
        switch entry.kind {
        case .delivery:
            if let packet = packets.remove(Int(entry.slot)) { deliver(packet) }
        case .action:
            if let action = actions.remove(Int(entry.slot)) { action() }
            for host in hosts { host.pump() }
        case .room:
            directions[Int(entry.slot)].isAwaited = false
            for node in nodes where node.links.contains(where: { $0.index == Int(entry.slot) }) { node.linkHasRoom() }
        }
    }

    // MARK: Packets

    /// Puts a packet into the network as if it came from `name`, to arrive at `node` after `delay`.
    public func inject(
        _ bytes: [UInt8], to node: SimulatedNode, from name: String, after delay: Duration = .zero
    ) {
        var packet = Packet(bytes: bytes, length: bytes.count, destination: node)
        let arrival = now + delay
        record(&packet, from: name, fate: .delivered, origin: .injected, arrival: arrival.nanoseconds)
        queue.push(.delivery, slot: packets.insert(packet), at: arrival.nanoseconds)
    }

    /// Lets a held packet go on; it arrives now. Its number counts from 0 in `heldPackets`.
    package func releaseHeld(at index: Int) {
        let held = heldPackets.remove(at: index)
        settle(held.packet, .delivered, at: now)
        deliver(held.packet)
    }

    /// Lets a copy of a held packet arrive now; the packet itself goes on waiting.
    package func duplicateHeld(at index: Int) { deliver(heldPackets[index].packet) }

    /// Loses a held packet.
    package func dropHeld(at index: Int) {
        let held = heldPackets.remove(at: index)
        settle(held.packet, .lost, at: nil)
    }

    /// Lets time pass with nothing happening, for who plays the network.
    package func setTime(_ time: Instant) { now = max(now, time) }

    func takeBuffer(_ size: Int) -> [UInt8] {
        if let buffer = freeBuffers.popLast(), buffer.count >= size { return buffer }
        return [UInt8](repeating: 0, count: size)
    }

    func returnBuffer(_ buffer: consuming [UInt8]) {
        if freeBuffers.count < 4096 { freeBuffers.append(buffer) }
    }

    func awaitRoom(on direction: LinkDirection, for length: Int) {
        guard !direction.isAwaited else { return }
        direction.isAwaited = true
        queue.push(.room, slot: direction.index, at: direction.timeOfRoom(for: length, at: now))
    }

    /// Sends a packet of `node` over the link towards its destination.
    func transmit(_ packet: consuming Packet, from node: SimulatedNode) {
        var packet = packet
        guard let contents = Contents(packet) else { return }
        guard let direction = node.link(towards: contents.ip.destination) else {
            record(&packet, from: node.name, fate: .unreachable, origin: .host, arrival: nil)
            return
        }
        packet.direction = direction
        packet.destination = direction.destination
        packet.epoch = direction.epoch
        let fate = direction.fate(
            of: contents.header, payloadLength: contents.payloadLength, length: packet.length, at: now)
        guard !direction.isCut else { return lose(&packet, from: node, .unreachable) }
        guard direction.hasRoom(for: packet.length, at: now) else { return lose(&packet, from: node, .queueFull) }
        let arrival = direction.carry(packet.length, at: now)
        if fate.isLost { return lose(&packet, from: node, .lost) }
        let time = (Instant(nanoseconds: arrival) + fate.extraDelay).nanoseconds
        if fate.isCorrupted {
            direction.lost += 1
            record(&packet, from: node.name, fate: .corrupted, origin: .host, arrival: nil)
            packet.finishChecksum()
            direction.corrupt(&packet.bytes, length: packet.length)
        } else {
            record(&packet, from: node.name, fate: .delivered, origin: .host, arrival: fate.isHeld ? nil : time)
        }
        if fate.isHeld {
            heldPackets.append(HeldPacket(packet: packet))
            return
        }
        for copy in fate.copies {
            var duplicate = packet
            let later = Instant(nanoseconds: time) + copy
            if !fate.isCorrupted {
                record(&duplicate, from: node.name, fate: .delivered, origin: .copy, arrival: later.nanoseconds)
            }
            queue.push(.delivery, slot: packets.insert(duplicate), at: later.nanoseconds)
        }
        queue.push(.delivery, slot: packets.insert(packet), at: time)
    }

    /// What a packet says of itself.
    private struct Contents {
        var ip: IPHeader
        var header: TCPHeader?
        var payloadLength: Int

        init?(_ packet: borrowing Packet) {
            let bytes = packet.bytes
            let span = bytes.span.bytes.extracting(0..<packet.length)
            guard let ip = try? IPHeader(parsing: span) else { return nil }
            self.ip = ip
            payloadLength = ip.totalLength - ip.headerLength
            guard ip.protocolNumber == IPProtocol.tcp else { return }
            header = try? TCPHeader(parsing: span.extracting(ip.headerLength..<ip.totalLength))
            payloadLength -= header?.headerLength ?? 0
        }
    }

    private func lose(_ packet: inout Packet, from node: SimulatedNode, _ fate: TracedSegment.Fate) {
        packet.direction?.lost += 1
        record(&packet, from: node.name, fate: fate, origin: .host, arrival: nil)
        returnBuffer(packet.bytes)
    }

    private func deliver(_ packet: Packet) {
        let isCutOff = packet.direction.map { $0.epoch != packet.epoch || $0.isCut } ?? false
        guard !isCutOff, packet.destination.isReachable else {
            packet.direction?.lost += 1
            settle(packet, .unreachable, at: nil)
            return returnBuffer(packet.bytes)
        }
        if packet.traceIndex >= 0, trace.segments[packet.traceIndex].isDelivered {
            trace.events.append(.arrived(packet.traceIndex))
        }
        packet.destination.receive(packet)
        returnBuffer(packet.bytes)
    }

    // MARK: Tracing

    /// Adds a packet that is sent now to the trace.
    private func record(
        _ packet: inout Packet, from name: String, fate: TracedSegment.Fate, origin: TracedSegment.Origin,
        arrival: Int64?
    ) {
        guard isTracing || observer != nil else { return }
        guard let contents = Contents(packet), let header = contents.header else { return }
        let (ip, length) = (contents.ip, contents.payloadLength)
        segmentCount += 1
        let segment = TracedSegment(
            number: segmentCount, sent: now, arrival: arrival.map(Instant.init(nanoseconds:)), from: name,
            to: packet.destination.name, source: Endpoint(ip.source, header.sourcePort),
            destination: Endpoint(ip.destination, header.destinationPort), header: header, length: length, fate: fate,
            origin: origin, segments: packet.segmentSize > 0 ? max(1, (length - 1) / packet.segmentSize + 1) : 1)
        let event = TraceEvent.sent(trace.segments.count)
        observer?(event, segment)
        guard isTracing else { return }
        packet.traceIndex = trace.segments.count
        trace.segments.append(segment)
        trace.events.append(event)
    }

    private func settle(_ packet: Packet, _ fate: TracedSegment.Fate, at arrival: Instant?) {
        guard packet.traceIndex >= 0, trace.segments[packet.traceIndex].fate != .corrupted else { return }
        trace.segments[packet.traceIndex].fate = fate
        trace.segments[packet.traceIndex].arrival = arrival
    }

    /// Adds a change of state or an action to the trace; ends that a script plays call it for themselves.
    public func record(_ event: TraceEvent) {
        observer?(event, nil)
        if isTracing { trace.events.append(event) }
    }
}
