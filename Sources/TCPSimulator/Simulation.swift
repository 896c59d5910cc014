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
    public internal(set) var now: Instant
    /// Whether everything that happens is kept in `trace`.
    public var isTracing: Bool
    /// What happened, if it is kept. Its clock starts with the simulation's.
    public internal(set) var trace: Trace
    /// Sees everything that happens when it happens, kept or not; of an event about a segment, the segment too.
    public var observer: ((TraceEvent, TracedSegment?) -> Void)?
    /// Packets that wait in the network because their fate was `held`, in the order they were sent. A script runner or an
    /// explorer of schedules decides when each goes on.
    package internal(set) var heldPackets: [HeldPacket] = []

    let seed: UInt64
    private var nodes: [SimulatedNode] = []
    private var hosts: [SimulatedHost] = []
    var directions: [LinkDirection] = []
    var queue = EventQueue()
    var packets = SlotArray<Packet>()
    private var actions = SlotArray<() -> Void>()
    var freeBuffers: [[UInt8]] = []
    var segmentCount = 0

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
        for change in configuration.rateChanges {
            after(change.time) { [weak self] in
                self?.setRate(change.rate, of: link.forward)
                self?.setRate(change.rate, of: link.backward)
            }
        }
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
        while let next = nextEvent {
            if next.time > end.nanoseconds {
                now = max(now, end)
                return .timeLimit
            }
            let before = now
            take(next)
            if condition() { return .satisfied }
            stepsWithoutTime = now > before ? 0 : stepsWithoutTime + 1
            if stepsWithoutTime > 1_000_000 { return .stuck }
        }
        return .idle
    }

    /// When something happens next; `nil` if nothing will.
    package var nextTime: Instant? { nextEvent.map { Instant(nanoseconds: max($0.time, now.nanoseconds)) } }

    /// Lets the next thing happen.
    package func step() {
        if let next = nextEvent { take(next) }
    }

    /// What happens next: a host's timer, or what is first in the queue. An arrival comes before a timer of the same time,
    /// so that an acknowledgment in the nick of time is one.
    private var nextEvent: (time: Int64, host: SimulatedHost?)? {
        var time = queue.earliest
        var due: SimulatedHost?
        for host in hosts where host.isAlive {
            if let deadline = host.stack.nextDeadline?.nanoseconds, deadline < time ?? .max {
                time = deadline
                due = host
            }
        }
        return time.map { ($0, due) }
    }

    private func take(_ next: (time: Int64, host: SimulatedHost?)) {
        now = max(now, Instant(nanoseconds: next.time))
        if let host = next.host { return host.advance() }
        guard let entry = queue.pop() else { return }
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
}
