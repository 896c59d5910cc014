import TCPEngine
import TCPStack
import TCPWire
import Testing

extension Configuration {
    /// Segments keep their size whatever times out: for tests of several timeouts of one segment.
    static var steadySegments: Configuration {
        var configuration = Configuration()
        configuration.pathProbing = .off
        return configuration
    }
}

/// A stack in virtual time, on a link a test holds the other end of. What the stack sends is taken from it at once and
/// kept until the test asks for it; time stands still unless the test lets it pass.
final class VirtualHost {
    var stack: Stack
    let configuration: Configuration
    private(set) var now: Instant
    /// Whether the link has no room: nothing is taken from the stack.
    var isLinkFull = false
    /// What the stack has sent, oldest first, of conversations nobody plays.
    var strays: [Segment] = []
    /// Packets that are no TCP.
    var others: [[UInt8]] = []
    /// Every packet, for a link that joins two hosts; kept only if it is not nil.
    var outbox: [[UInt8]]?
    var events: [StackEvent] = []
    var changes: [StateChange] = []
    /// The conversation so far, a line a packet.
    var trace: [String] = []
    private var peers: [Endpoint: ScriptedPeer] = [:]
    private var localAddresses: Set<IPAddress> = []
    private var buffer = [UInt8](repeating: 0, count: 65_600)

    init(
        _ configuration: Configuration = Configuration(), secret: StackSecret = StackSecret(0x0123_4567_89AB_CDEF, 42),
        at start: Instant = Instant(nanoseconds: 1_000_000_000), families: [Family] = Family.allCases, number: Int = 1
    ) {
        var configuration = configuration
        configuration.recordsStateChanges = true
        self.configuration = configuration
        now = start
        stack = Stack(configuration: configuration, secret: secret, at: start)
        for family in families {
            stack.addAddress(AddressPrefix(family.address(number), length: family.prefixLength))
            localAddresses.insert(family.address(number))
        }
    }

    /// Makes segments to the peer's endpoint the peer's business.
    func attach(_ peer: ScriptedPeer) { peers[peer.endpoint] = peer }

    /// Gives the stack a packet and takes what it answers.
    func inject(_ packet: [UInt8], metadata: PacketMetadata = PacketMetadata()) {
        stack.receive(packet.span.bytes, metadata: metadata, at: now)
        settle()
    }

    /// Delivers several packets before the link takes anything, as a device does that reads a burst.
    func batch(_ body: () -> Void) {
        isLinkFull = true
        body()
        isLinkFull = false
        settle()
    }

    /// Takes everything the stack has to say: packets, events, changes of state.
    func settle() {
        var rounds = 0
        while !isLinkFull, let packet = nextPacket() {
            accept(packet)
            rounds += 1
            if rounds > 200_000 {
                Issue.record("the stack sends without end:\n\(recentTrace())")
                break
            }
        }
        while let event = stack.nextEvent() { events.append(event) }
        while let change = stack.nextStateChange() { changes.append(change) }
        if stack.budgetUsed != stack.memory.total {
            Issue.record("\(stack.budgetUsed) bytes are charged, \(stack.memory.total) are held:\n\(recentTrace())")
        }
    }

    private func nextPacket() -> [UInt8]? {
        var room = buffer
        buffer = []
        defer { buffer = room }
        var span = room.mutableSpan
        var bytes = span.mutableBytes
        guard let packet = stack.transmit(into: &bytes, at: now) else { return nil }
        return Array(room[0..<packet.length])
    }

    private func accept(_ packet: [UInt8]) {
        guard let segment = Segment(packet, at: now) else {
            others.append(packet)
            outbox?.append(packet)
            return
        }
        if localAddresses.contains(segment.ip.destination) {
            // A TUN device's system sends what is addressed to the stack back to it.
            log("~ \(describe(segment.tcp, payload: segment.length, sequenceBase: nil, acknowledgmentBase: nil))")
            stack.receive(packet.span.bytes, at: now)
            return
        }
        outbox?.append(packet)
        if let peer = peers[segment.destination] {
            peer.observe(segment)
        } else {
            log("> \(describe(segment.tcp, payload: segment.length, sequenceBase: nil, acknowledgmentBase: nil))")
            strays.append(segment)
        }
    }

    func log(_ line: String) {
        let time = now.nanoseconds / 1000
        let fraction = String(1_000_000 + time % 1_000_000).dropFirst()
        trace.append("  \(time / 1_000_000).\(fraction) \(line)")
    }

    /// The last lines of the conversation: `<` came to the stack, `>` went from it.
    func recentTrace() -> String { trace.suffix(24).joined(separator: "\n") }

    /// Lets time pass, timer by timer.
    func advance(by duration: Duration) { advance(to: now + duration) { false } }

    /// Lets time pass, timer by timer, up to `target` or until `done` says so.
    func advance(to target: Instant, until done: () -> Bool) {
        var rounds = 0
        var stuck = 0
        while let deadline = stack.nextDeadline, deadline <= target {
            stuck = deadline <= now ? stuck + 1 : 0
            now = max(now, deadline)
            stack.advance(to: now)
            settle()
            if done() { return }
            rounds += 1
            if stuck > 100 || rounds > 2_000_000 {
                Issue.record("nextDeadline does not move on from \(deadline.nanoseconds) ns at \(now.nanoseconds) ns")
                return
            }
        }
        now = max(now, target)
        stack.advance(to: now)
        settle()
    }

    /// Moves the clock without serving a timer, as a busy device does.
    func sleep(_ duration: Duration) { now = now + duration }

    /// The next connection of a listener.
    func accept(_ listener: ListenerID) -> ConnectionID? { stack.accept(listener) }

    /// Reads all there is to read of a connection, and says how much that was.
    func drain(_ id: ConnectionID) -> Int {
        var octets = [UInt8](repeating: 0, count: 65_536)
        var total = 0
        while true {
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            guard case .bytes(let count) = try? stack.read(id, into: &bytes, at: now) else { break }
            total += count
        }
        settle()
        return total
    }

    /// The state of the flow between two endpoints, whatever form the stack keeps it in.
    func state(local: Endpoint, remote: Endpoint) -> State? {
        stack.flows().first { $0.local == local && $0.remote == remote }?.state
    }
}
