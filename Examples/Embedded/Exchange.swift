import TCPEngine
import TCPStack
import TCPWire

/// Two hosts in one program, joined by a wire of 10 ms each way, and a clock that jumps from one thing to the next: the
/// client connects, sends a payload and closes; the server reads it, and closes when the client has.
struct Exchange: ~Copyable {
    private static let port: UInt16 = 80
    private static let delay = Duration.milliseconds(10)
    /// How long the server's program takes to close after the client has: longer than a delayed acknowledgment, so that
    /// the close takes its four segments.
    private static let pause = Duration.milliseconds(100)

    private var client: Host
    private var server: Host
    private var wire: [Packet] = []
    private var now = Instant.zero
    private var closeAt: Instant?

    private let payload: [UInt8]
    private var written = 0
    private var received = 0
    private var isIntact = true

    init(payload count: Int) {
        client = Host(name: "client", isServer: false, address: IPAddress(10, 0, 0, 1), secret: StackSecret(1, 2))
        server = Host(name: "server", isServer: true, address: IPAddress(10, 0, 0, 2), secret: StackSecret(3, 4))
        // A period that no power of two divides, so that octets moved by a block would show.
        payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 % 251) }
    }

    /// Runs until nothing is left to wait for, and says whether all went as it should.
    mutating func run() -> Bool {
        do {
            let listener = try server.stack.listen(on: Exchange.port, at: now)
            let remote = Endpoint(IPAddress(10, 0, 0, 2), Exchange.port)
            client.connection = try client.stack.connect(to: remote, at: now)
            // An exchange takes some hundreds of steps; a bound, so that a fault ends it.
            for _ in 0..<100_000 {
                do {
                    try serve(listener)
                    try send()
                } catch {
                    print("The connection failed: \(error.explanation)")
                    return false
                }
                client.transmit(onto: &wire, at: now, delay: Exchange.delay)
                server.transmit(onto: &wire, at: now, delay: Exchange.delay)
                client.report()
                server.report()
                guard step() else { break }
            }
        } catch {
            print("Cannot open: \(error.explanation)")
            return false
        }
        return verdict()
    }

    /// Moves the clock to what comes next; `false` when nothing does.
    private mutating func step() -> Bool {
        var next = Instant.distantFuture
        for packet in wire { next = min(next, packet.arrival) }
        if let deadline = client.stack.nextDeadline { next = min(next, deadline) }
        if let deadline = server.stack.nextDeadline { next = min(next, deadline) }
        if let closeAt { next = min(next, closeAt) }
        guard next < .distantFuture else { return false }
        now = max(now, next)
        client.stack.advance(to: now)
        server.stack.advance(to: now)
        let arrived = wire.filter { $0.arrival <= now }
        wire.removeAll { $0.arrival <= now }
        for packet in arrived {
            if packet.toServer {
                server.receive(packet, at: now)
            } else {
                client.receive(packet, at: now)
            }
        }
        return true
    }

    /// The client's program: write the payload as room comes, then close.
    private mutating func send() throws(ConnectionError) {
        while client.stack.nextEvent() != nil {}
        guard let connection = client.connection else { return }
        let status = client.stack.status(of: connection)
        if let error = status?.error { throw error }
        guard status?.state == .established, written <= payload.count else {
            if status?.state == .timeWait || status?.state == .closed {
                client.stack.release(connection, at: now)
                client.connection = nil
            }
            return
        }
        let payload = payload
        let octets = payload.span
        let rest = octets.bytes.extracting(written..<payload.count)
        let taken = try client.stack.write(connection, rest, at: now)
        written += taken
        if written == payload.count {
            try client.stack.close(connection, at: now)
            written += 1
        }
    }

    /// The server's program: read and compare, and close a little after the client has.
    private mutating func serve(_ listener: ListenerID) throws(ConnectionError) {
        while server.stack.nextEvent() != nil {}
        if server.connection == nil, received == 0 { server.connection = server.stack.accept(listener) }
        guard let connection = server.connection else { return }
        if closeAt == nil {
            var position = received
            var isSame = true
            let expected = payload
            let isOver = try server.read(at: now) { octets in
                for octet in octets {
                    isSame = isSame && position < expected.count && expected[position] == octet
                    position += 1
                }
            }
            received = position
            isIntact = isIntact && isSame
            if isOver { closeAt = now + Exchange.pause }
        } else if let time = closeAt, now >= time {
            server.stack.release(connection, at: now)
            server.connection = nil
            server.stack.stopListening(listener, at: now)
            closeAt = nil
        }
    }

    private func verdict() -> Bool {
        let clientPath: [State] = [.closed, .synSent, .established, .finWait1, .finWait2, .timeWait, .closed]
        let serverPath: [State] = [.synReceived, .established, .closeWait, .lastAck, .closed]
        let isWhole = isIntact && received == payload.count
        let followsTheRFC = client.states == clientPath && Array(server.states.suffix(5)) == serverPath
        let isEmpty = Exchange.isEmpty(client.stack.memory) && Exchange.isEmpty(server.stack.memory)
        print("\(received) of \(payload.count) bytes arrived\(isWhole ? ", unharmed" : ": they are NOT what was sent")")
        if !followsTheRFC { print("The states are NOT the RFC's") }
        if !isEmpty { print("Something of the connection is left behind") }
        return isWhole && followsTheRFC && isEmpty
    }

    private static func isEmpty(_ memory: MemoryReport) -> Bool {
        memory.connectionCount == 0 && memory.halfOpenCount == 0 && memory.timeWaitCount == 0 && memory.buffers == 0
    }
}
