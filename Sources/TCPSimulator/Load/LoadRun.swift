package import TCPStack
package import TCPWire

/// A server and its load on a link of a limited rate, in virtual time.
package struct LoadRun: ~Copyable {
    /// One direction of the link: a queue that drains at a rate, and a delay.
    private struct Direction {
        let nanosecondsPerOctet: Double
        let delay: Int64
        /// Octets that may wait; what finds no room is lost, as on any router.
        let queue: Int
        var isFreeAt: Int64 = 0
        var packets: [(arrival: Int64, octets: [UInt8])] = []
        var head = 0
        var lost = 0

        mutating func send(_ packet: [UInt8], at now: Int64) {
            let start = max(isFreeAt, now)
            guard Double(start - now) <= nanosecondsPerOctet * Double(queue) else {
                lost += 1
                return
            }
            isFreeAt = start + Int64(nanosecondsPerOctet * Double(packet.count))
            packets.append((isFreeAt + delay, packet))
        }

        var next: Int64? { head < packets.count ? packets[head].arrival : nil }

        mutating func pop() -> [UInt8] {
            let packet = packets[head].octets
            head += 1
            if head > 4096, head * 2 > packets.count {
                packets.removeFirst(head)
                head = 0
            }
            return packet
        }
    }

    package var generator: LoadGenerator
    package var server: LoadServer
    package private(set) var now: Instant
    private var toServer: Direction
    private var toPeers: Direction
    /// The most bytes the server's stack has held.
    package private(set) var peak = 0
    package private(set) var packets = 0
    /// Packets the link had no room for.
    package var lost: Int { toServer.lost + toPeers.lost }

    /// - Parameters:
    ///   - rate: bits a second, each way.
    ///   - delay: one way.
    ///   - queue: octets that may wait for the link, each way.
    package init(
        _ load: Load, _ configuration: Configuration, backlog: Int = 1024, rate: Int, delay: Duration, queue: Int,
        at now: Instant = Instant(nanoseconds: 1_000_000_000)
    ) throws(OpenError) {
        self.now = now
        generator = LoadGenerator(load, at: now)
        server = try LoadServer(configuration, on: load.server, backlog: backlog, at: now)
        toServer = Direction(nanosecondsPerOctet: 8e9 / Double(rate), delay: delay.nanoseconds, queue: queue)
        toPeers = toServer
    }

    deinit {}

    /// Goes on to the next thing that happens, if that is before `end`; says whether there was one.
    package mutating func step(until end: Instant = .distantFuture) -> Bool {
        let times = [
            generator.nextDeadline?.nanoseconds, server.stack.nextDeadline?.nanoseconds, toServer.next, toPeers.next,
        ]
        guard let next = times.compactMap({ $0 }).min(), next <= end.nanoseconds else { return false }
        now = Instant(nanoseconds: max(now.nanoseconds, next))
        while let arrival = toServer.next, arrival <= now.nanoseconds {
            let packet = toServer.pop()
            LoadRun.deliver(packet, to: &server.stack, at: now)
            packets += 1
        }
        server.stack.advance(to: now)
        server.run(at: now)
        while let packet = LoadRun.packet(of: &server.stack, at: now) { toPeers.send(packet, at: now.nanoseconds) }
        peak = max(peak, server.stack.memory.total)
        while let arrival = toPeers.next, arrival <= now.nanoseconds {
            let packet = toPeers.pop()
            generator.receive(packet, at: now)
            packets += 1
        }
        generator.advance(to: now)
        while let packet = generator.transmit(at: now) { toServer.send(packet, at: now.nanoseconds) }
        return true
    }

    private static func deliver(_ packet: [UInt8], to stack: inout Stack, at now: Instant) {
        let span = packet.span
        stack.receive(span.bytes, at: now)
    }

    private static func packet(of stack: inout Stack, at now: Instant) -> [UInt8]? {
        var octets = [UInt8](repeating: 0, count: 1500)
        let length: Int?
        do {
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            length = stack.transmit(into: &bytes, at: now)?.length
        }
        guard let length else { return nil }
        octets.removeLast(octets.count - length)
        return octets
    }
}
