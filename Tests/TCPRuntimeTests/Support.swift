import TCPRuntime
import TCPStack
import TCPWire

/// A test that did not come to its end.
struct Stuck: Error {}

let clientIPv4 = IPAddress(10, 0, 0, 1)
let serverIPv4 = IPAddress(10, 0, 0, 2)
let clientIPv6 = IPAddress("fd00::1")!
let serverIPv6 = IPAddress("fd00::2")!

/// Runs `body` with two hosts joined by a link in memory, on one loop and one thread. A body that hangs is given up.
func withPair(
    offload: Offload = .none, capacity: Int = 256, configuration: Configuration = Configuration(),
    _ body: @escaping @Sendable (_ client: Host, _ server: Host) async throws -> Void
) throws {
    let loop = try EventLoop()
    let (left, right) = MemoryLink.pair(offload: offload, capacity: capacity)
    try loop.run {
        let client = Host(
            device: left, addresses: [AddressPrefix(clientIPv4, length: 24), AddressPrefix(clientIPv6, length: 64)],
            configuration: configuration, loop: loop)
        let server = Host(
            device: right, addresses: [AddressPrefix(serverIPv4, length: 24), AddressPrefix(serverIPv6, length: 64)],
            configuration: configuration, loop: loop)
        try await limited(on: loop) { try await body(client, server) }
        await client.shutdown()
        await server.shutdown()
    }
}

/// Throws `Stuck` if `body` takes a minute: only a hang does.
func limited(on loop: EventLoop, _ body: @escaping @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask(operation: body)
        group.addTask {
            try await loop.sleep(for: .seconds(60))
            throw Stuck()
        }
        try await group.next()
        group.cancelAll()
    }
}

/// Octets that depend on their place, so that any loss, doubling or exchange shows.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    return (0..<count).map { _ in
        state ^= state &<< 13
        state ^= state &>> 7
        state ^= state &<< 17
        return UInt8(truncatingIfNeeded: state &>> 24)
    }
}

/// Reads to the end of the stream.
func readAll(_ connection: TCPConnection, upTo chunk: Int = 65_536) async throws -> [UInt8] {
    var all: [UInt8] = []
    while let bytes = try await connection.read(upTo: chunk) { all += bytes }
    return all
}

/// A port for a service, and the connection that comes to it.
func connected(
    _ client: Host, _ server: Host, port: UInt16 = 7, ipv6: Bool = false
) async throws -> (TCPConnection, TCPConnection) {
    let listener = try await server.listen(on: port)
    async let accepted = listener.accept()
    let connection = try await client.connect(to: Endpoint(ipv6 ? serverIPv6 : serverIPv4, port))
    guard let peer = try await accepted else { throw Stuck() }
    return (connection, peer)
}

#if DEBUG
    let bulk = 200_000
    let crowd = 30
#else
    let bulk = 20_000_000
    let crowd = 500
#endif
