import TCPEngine
import TCPStack
import TCPWire

/// A packet on its way.
struct Packet {
    /// When it arrives.
    var arrival: Instant
    /// Whether it goes to the server.
    var toServer: Bool
    /// Its octets, from the IP header on.
    var bytes: [UInt8]
}

/// One of the two ends: a stack, and what its program keeps.
struct Host: ~Copyable {
    /// What the end is called in the output.
    let name: String
    /// Whether this end listens.
    let isServer: Bool
    /// The whole TCP/IP host.
    var stack: Stack
    /// The connection, once there is one.
    var connection: ConnectionID?
    /// The states the connection has been in, in their order.
    var states: [State] = []
    /// Where the stack writes a packet, and where a read puts its octets.
    private var buffer = [UInt8](repeating: 0, count: 1500)

    init(name: String, isServer: Bool, address: IPAddress, secret: StackSecret) {
        self.name = name
        self.isServer = isServer
        var configuration = Configuration()
        configuration.recordsStateChanges = true
        configuration.memoryBudget = 1 << 20
        configuration.sendBuffer = 64 << 10
        configuration.receiveBuffer = 64 << 10
        stack = Stack(configuration: configuration, secret: secret)
        stack.addAddress(AddressPrefix(address, length: 24))
    }

    /// Takes what the stack wants to send and puts it on the wire.
    mutating func transmit(onto wire: inout [Packet], at now: Instant, delay: Duration) {
        while let length = Host.packet(from: &stack, into: &buffer, at: now) {
            wire.append(Packet(arrival: now + delay, toServer: !isServer, bytes: Array(buffer[..<length])))
        }
    }

    /// Hands the stack a packet that has arrived.
    mutating func receive(_ packet: Packet, at now: Instant) {
        let octets = packet.bytes.span
        stack.receive(octets.bytes, at: now)
    }

    /// Reads what there is, and hands it to `body` piece by piece. Says whether the peer has sent all it will.
    mutating func read(at now: Instant, body: (ArraySlice<UInt8>) -> Void) throws(ConnectionError) -> Bool {
        guard let connection else { return false }
        while true {
            switch try Host.read(from: connection, of: &stack, into: &buffer, at: now) {
            case .bytes(let count): body(buffer[..<count])
            case .wouldBlock: return false
            case .endOfStream: return true
            }
        }
    }

    // A span of `buffer` borrows all it is part of, so these two work on the parts.

    private static func packet(from stack: inout Stack, into buffer: inout [UInt8], at now: Instant) -> Int? {
        var octets = buffer.mutableSpan
        var span = octets.mutableBytes
        return stack.transmit(into: &span, at: now)?.length
    }

    private static func read(
        from connection: ConnectionID, of stack: inout Stack, into buffer: inout [UInt8], at now: Instant
    ) throws(ConnectionError) -> ReadResult {
        var octets = buffer.mutableSpan
        var span = octets.mutableBytes
        return try stack.read(connection, into: &span, at: now)
    }

    /// Prints the changes of state since the last time.
    mutating func report() {
        while let change = stack.nextStateChange() {
            if states.isEmpty { states.append(change.from) }
            states.append(change.to)
            print("\(milliseconds(change.time)) ms  \(name)  \(change.from.name) -> \(change.to.name)")
        }
    }
}

/// The time in milliseconds, right-aligned.
func milliseconds(_ time: Instant) -> String {
    let digits = "\(time.nanoseconds / 1_000_000)"
    return String(repeating: " ", count: max(0, 7 - digits.utf8.count)) + digits
}
