import TCPEngine
import TCPSockets
import TCPWire
import Testing

/// Two kernels on one link of ten milliseconds, and what a test does with them.
final class Wire {
    static let near = IPAddress(10, 0, 0, 1)
    static let far = IPAddress(10, 0, 0, 2)
    static let near6 = IPAddress(high: 0xFD00_0000_0000_0000, low: 1)
    static let far6 = IPAddress(high: 0xFD00_0000_0000_0000, low: 2)

    let a: VirtualKernel
    let b: VirtualKernel
    /// Packets on the way, by the time they arrive.
    private var flying: [(at: Instant, toB: Bool, octets: [UInt8])] = []
    /// Loses what one end sends while it is set.
    var losesFromA = false
    var losesFromB = false
    static let delay: Duration = .milliseconds(10)

    init(_ change: (inout KernelSettings) -> Void = { _ in }) {
        func settings(_ four: IPAddress, _ six: IPAddress, _ seed: UInt64) -> KernelSettings {
            var result = KernelSettings(
                addresses: [AddressPrefix(four, length: 24), AddressPrefix(six, length: 64)])
            result.seed = seed
            change(&result)
            return result
        }
        a = VirtualKernel(settings(Wire.near, Wire.near6, 1))
        b = VirtualKernel(settings(Wire.far, Wire.far6, 2))
    }

    /// Lets time pass at both ends.
    func run(_ duration: Duration) {
        let end = a.now + duration
        var rounds = 0
        while rounds < 100_000 {
            rounds += 1
            collect()
            let next = [flying.map(\.at).min(), a.nextDeadline, b.nextDeadline].compactMap { $0 }.min()
            guard let next, next <= end else { break }
            let now = max(next, a.now)
            a.advance(to: now)
            b.advance(to: now)
            collect()
            let arrived = flying.filter { $0.at <= now }
            flying.removeAll { $0.at <= now }
            for packet in arrived { (packet.toB ? b : a).inject(packet.octets) }
        }
        #expect(rounds < 100_000, "time does not pass")
        a.advance(to: end)
        b.advance(to: end)
        collect()
    }

    private func collect() {
        while let packet = a.nextPacket() {
            if !losesFromA { flying.append((packet.time + Wire.delay, true, packet.octets)) }
        }
        while let packet = b.nextPacket() {
            if !losesFromB { flying.append((packet.time + Wire.delay, false, packet.octets)) }
        }
    }
}

extension VirtualKernel {
    /// A call that must return at once.
    @discardableResult
    func now(_ call: SystemCall, sourceLocation: SourceLocation = #_sourceLocation) throws -> CallResult {
        try #require(self.call(call), "the call blocks", sourceLocation: sourceLocation)
    }

    /// A stream socket.
    func socket(_ family: AddressFamily = .ipv4, nonBlocking: Bool = false) throws -> Int32 {
        let type = Linux.SOCK_STREAM | (nonBlocking ? Linux.SOCK_NONBLOCK : 0)
        return Int32(try now(.socket(domain: family.rawValue, type: type, protocol: 0)).value)
    }

    func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32...) throws -> Errno {
        let octets = value.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
        return try now(.setsockopt(descriptor, level: level, name: name, value: octets)).errno
    }

    func get(_ descriptor: Int32, _ level: Int32, _ name: Int32) throws -> Int32 {
        let result = try now(.getsockopt(descriptor, level: level, name: name, length: 4))
        try #require(result.value == 0)
        return try #require(result.optionValue)
    }

    func error(_ descriptor: Int32) throws -> Errno {
        Errno(rawValue: try get(descriptor, Linux.SOL_SOCKET, Linux.SO_ERROR))
    }

    func poll(_ descriptor: Int32, _ events: Int16 = Linux.POLLIN | Linux.POLLOUT | Linux.POLLRDHUP) throws -> Int16 {
        try now(.poll([PollDescriptor(descriptor, events: events)], timeout: 0)).polled[0].returned
    }

    func state(_ descriptor: Int32) -> String { status(of: descriptor)?.state.name ?? "none" }
}

/// A connection from `a` to a listener at `b`.
struct Link {
    let wire: Wire
    let client: Int32
    let listener: Int32
    let server: Int32

    init(
        port: UInt16 = 80, nonBlocking: Bool = false, prepare: (Wire, Int32, Int32) throws -> Void = { _, _, _ in },
        settings: (inout KernelSettings) -> Void = { _ in }
    ) throws {
        wire = Wire(settings)
        listener = try wire.b.socket()
        client = try wire.a.socket()
        try prepare(wire, client, listener)
        #expect(try wire.b.now(.bind(listener, SocketAddress(Wire.far, port: port))).value == 0)
        #expect(try wire.b.now(.listen(listener, backlog: 5)).value == 0)
        let opening = wire.a.submit(.connect(client, SocketAddress(Wire.far, port: port)))
        wire.run(.milliseconds(50))
        #expect(wire.a.result(of: opening)?.value == 0)
        server = Int32(try wire.b.now(.accept(listener)).value)
        if nonBlocking {
            try wire.a.now(.fcntl(client, command: Linux.F_SETFL, argument: Linux.O_NONBLOCK))
            try wire.b.now(.fcntl(server, command: Linux.F_SETFL, argument: Linux.O_NONBLOCK))
        }
    }
}

func text(_ string: String) -> [UInt8] { Array(string.utf8) }
