import TCPEngine
import TCPStack
import TCPWire
import Testing

// What stands between the two marks is the README's example, word for word: CI compares them.

// README begins
/// Hands everything `sender` wants to send to `receiver`: the whole network between them.
func carry(from sender: inout Stack, to receiver: inout Stack, at now: Instant) {
    var buffer = [UInt8](repeating: 0, count: 1500)
    var octets = buffer.mutableSpan
    var span = octets.mutableBytes
    while let packet = sender.transmit(into: &span, at: now) {
        receiver.receive(span.bytes.extracting(0..<packet.length), at: now)
    }
}

func hello() throws -> [UInt8] {
    let now = Instant.zero
    // Secrets make initial sequence numbers unpredictable: take them from the system's random source.
    var server = Stack(secret: StackSecret(.random(in: 0 ... .max), .random(in: 0 ... .max)), at: now)
    server.addAddress(AddressPrefix("10.0.0.2/24")!)
    let listener = try server.listen(on: 7, at: now)

    var client = Stack(secret: StackSecret(.random(in: 0 ... .max), .random(in: 0 ... .max)), at: now)
    client.addAddress(AddressPrefix("10.0.0.1/24")!)
    let connection = try client.connect(to: Endpoint(IPAddress(10, 0, 0, 2), 7), at: now)
    carry(from: &client, to: &server, at: now)  // SYN
    carry(from: &server, to: &client, at: now)  // SYN, ACK

    let greeting = Array("Hello, TCP".utf8)
    let taken = try client.write(connection, greeting.span.bytes, at: now)
    carry(from: &client, to: &server, at: now)  // ACK, and the data

    var received = [UInt8](repeating: 0, count: taken)
    if let accepted = server.accept(listener) {
        var octets = received.mutableSpan
        var span = octets.mutableBytes
        _ = try server.read(accepted, into: &span, at: now)
    }
    return received
}
// README ends

@Suite("The README")
struct ReadmeTests {
    @Test("The example says hello from one stack to the other")
    func example() throws {
        #expect(try hello() == Array("Hello, TCP".utf8))
    }
}
