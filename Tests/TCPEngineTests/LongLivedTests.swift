import TCPEngine
import TCPWire
import Testing

/// A connection without SACK and timestamps, its peer played by hand.
private struct Sender: ~Copyable {
    var context: Context
    var connection: Connection
    let peer = SequenceNumber(7000)
    private let chunk = [UInt8](repeating: 5, count: 64_000)

    init() {
        var parameters = Parameters()
        parameters.selectiveAcknowledgment = false
        parameters.timestamps = false
        context = Context(parameters: parameters, budget: 1 << 24, now: .zero)
        connection = Connection(
            state: .closed, initial: SequenceNumber(1000), linkSegmentSize: 1000, isIPv4: true, hopLimit: 64,
            timestampOffset: 0, context)
        connection.move(to: .synSent, &context)
        _ = connection.compose(superSegment: 0, &context)
        var options = TCPOptions()
        options.maximumSegmentSize = 1000
        options.windowScale = 8
        receive(SequenceNumber(1001), flags: [.syn, .ack], sequence: peer, window: 60000, options: options)
        while connection.compose(superSegment: 0, &context) != nil {}
        acknowledge(SequenceNumber(1001))
    }

    mutating func receive(
        _ number: SequenceNumber, flags: TCPFlags, sequence: SequenceNumber, window: UInt16,
        options: TCPOptions = TCPOptions()
    ) {
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: sequence, acknowledgment: number, flags: flags,
            window: window, options: options)
        let nothing: [UInt8] = []
        connection.receive(header, nothing.span.bytes, segments: 1, &context)
    }

    mutating func acknowledge(_ number: SequenceNumber) {
        receive(number, flags: .ack, sequence: peer + 1, window: 60000)
    }

    /// Queues `count` octets, at most 64,000.
    mutating func write(_ count: Int) {
        let chunk = self.chunk
        let taken = try? connection.write(chunk.span.bytes.extracting(0..<count), &context)
        #expect(taken == count)
    }

    mutating func next(superSegment: Int = 0) -> OutgoingSegment? {
        connection.compose(superSegment: superSegment, &context)
    }

    /// Sends and has acknowledged so many octets, in full segments.
    mutating func carry(_ total: Int) {
        var left = total / 64_000
        while left > 0 {
            write(64_000)
            context.now = context.now.advanced(byNanoseconds: 1_000_000)
            while let segment = next(superSegment: 65_000) {
                acknowledge(segment.sequence + segment.payloadLength)
            }
            left -= 1
        }
    }
}

@Suite("A connection may live long")
struct LongLivedTests {
    @Test("More than 2 GiB after the last loss three duplicates still mean another [B-15]")
    func lossAfterTwoGiB() {
        var sender = Sender()
        // One loss, so that there is a point where recovery ended.
        sender.write(10_000)
        while sender.next() != nil {}
        let first = sender.connection.send.unacknowledged
        for _ in 0..<3 { sender.acknowledge(first) }
        #expect(sender.next()?.sequence == first)
        sender.acknowledge(sender.connection.send.next)
        sender.carry((1 << 31) + (1 << 28))
        #expect(sender.connection.inFlight == 0)
        let all: UInt64 = ((1 << 31) + (1 << 28)) / 64_000 * 64_000 + 10_000
        #expect(sender.connection.octetsAcknowledged == all)

        sender.write(10_000)
        while sender.next() != nil {}
        let lost = sender.connection.send.unacknowledged
        for _ in 0..<3 { sender.acknowledge(lost) }
        #expect(sender.next()?.sequence == lost)
    }

    @Test("More than 2 GiB after the last small segment another may leave beside full ones [RFC 9293 A.3]")
    func smallAfterTwoGiB() {
        var sender = Sender()
        sender.write(10)
        #expect(sender.next()?.payloadLength == 10)
        sender.acknowledge(sender.connection.send.next)
        sender.carry((1 << 31) + (1 << 28))

        sender.write(1_000)
        #expect(sender.next()?.payloadLength == 1_000)
        sender.write(10)
        #expect(sender.next()?.payloadLength == 10)
        // A second small one waits for the first.
        sender.write(10)
        #expect(sender.next() == nil)
    }
}
