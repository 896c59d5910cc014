import TCPEngine
import TCPStack
import TCPWire

/// Which IP.
enum Family: String, CaseIterable {
    case ipv4 = "IPv4"
    case ipv6 = "IPv6"

    /// Address number `host` of the benchmark's network.
    func address(_ host: Int) -> IPAddress {
        switch self {
        case .ipv4: IPAddress(ipv4: 0x0A00_0000 | UInt32(host))
        case .ipv6: IPAddress(high: 0xFD00_0000_0000_0000, low: UInt64(host))
        }
    }

    /// Bits of the network's prefix.
    var prefixLength: Int { self == .ipv4 ? 8 : 64 }
}

/// Two stacks joined in memory: what one wants to send the other receives, at once and in order.
final class StackPair {
    static let port: UInt16 = 80

    var client: Stack
    var server: Stack
    /// The time both stacks are told.
    private(set) var now = Instant.zero
    private let packet = UnsafeMutableRawBufferPointer.allocate(byteCount: 66_000, alignment: 64)
    private let octets = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    private let family: Family

    init(family: Family, superSegments: Bool = false, configure: (inout Configuration) -> Void = { _ in }) {
        self.family = family
        var configuration = Configuration()
        configuration.superSegments = superSegments
        configuration.checksumOffload = superSegments
        configure(&configuration)
        client = Stack(configuration: configuration, secret: StackSecret(0x0123_4567_89AB_CDEF, 7))
        server = Stack(configuration: configuration, secret: StackSecret(0xFEDC_BA98_7654_3210, 9))
        client.addAddress(AddressPrefix(family.address(1), length: family.prefixLength))
        server.addAddress(AddressPrefix(family.address(2), length: family.prefixLength))
        isTrusted = superSegments
        for index in octets.indices { octets[index] = UInt8(truncatingIfNeeded: index % 251) }
    }

    deinit {
        packet.deallocate()
        octets.deallocate()
    }

    /// One in so many of the client's segments with payload is lost; zero is none.
    var losesOneIn = 0
    private var sinceLoss = 0

    /// With checksum offload the checksums stay partial on the way, and the link vouches for them.
    private let isTrusted: Bool

    /// A connection of the client to a listener of the server, both ends ESTABLISHED.
    func connect(
        _ listener: ListenerID, options: ConnectionOptions = ConnectionOptions()
    ) throws -> (client: ConnectionID, server: ConnectionID) {
        let remote = Endpoint(family.address(2), StackPair.port)
        let near = try client.connect(to: remote, options: options, at: now)
        settle()
        guard let far = server.accept(listener) else { throw BenchmarkError("the connection was not accepted") }
        server.setOptions(far, options, at: now)
        return (near, far)
    }

    /// Carries packets both ways until neither stack has one, and drops the events.
    func settle() {
        var isMoving = true
        while isMoving {
            isMoving = false
            while client.wantsToTransmit, carry(from: &client, to: &server) { isMoving = true }
            while server.wantsToTransmit, carry(from: &server, to: &client) { isMoving = true }
        }
        while client.nextEvent() != nil {}
        while server.nextEvent() != nil {}
    }

    private func carry(from sender: inout Stack, to receiver: inout Stack) -> Bool {
        var span = MutableRawSpan(_unsafeBytes: packet)
        guard let sent = sender.transmit(into: &span, at: now) else { return false }
        // What is sent again is lost as often as anything else.
        if losesOneIn > 0, sent.length > 200 {
            sinceLoss += 1
            if sinceLoss == losesOneIn {
                sinceLoss = 0
                return true
            }
        }
        var metadata = PacketMetadata()
        metadata.isChecksumTrusted = isTrusted
        metadata.segmentSize = sent.segmentSize
        receiver.receive(span.bytes.extracting(0..<sent.length), metadata: metadata, at: now)
        return true
    }

    /// Segments both stacks have sent so far.
    var segments: Int { Int(client.counters.segmentsSent + server.counters.segmentsSent) }

    /// Moves both stacks' clock on.
    func pass(_ time: Duration) {
        now = now + time
        client.advance(to: now)
        server.advance(to: now)
        settle()
    }

    /// Writes up to `count` octets at the client's end, and says how many it took.
    func write(_ connection: ConnectionID, count: Int) throws -> Int {
        let bytes = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: octets[..<count]))
        return try client.write(connection, bytes, at: now)
    }

    /// As `write(_:count:)` at the server's end.
    func answer(_ connection: ConnectionID, count: Int) throws -> Int {
        let bytes = RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: octets[..<count]))
        return try server.write(connection, bytes, at: now)
    }

    /// Reads all there is at the server's end, and says how many octets that was.
    func drainServer(_ connection: ConnectionID) throws -> Int {
        var total = 0
        var span = MutableRawSpan(_unsafeBytes: octets)
        while case .bytes(let count) = try server.read(connection, into: &span, at: now) { total += count }
        return total
    }

    /// Reads all there is at the client's end, and says how many octets that was.
    func drainClient(_ connection: ConnectionID) throws -> Int {
        var total = 0
        var span = MutableRawSpan(_unsafeBytes: octets)
        while case .bytes(let count) = try client.read(connection, into: &span, at: now) { total += count }
        return total
    }
}
