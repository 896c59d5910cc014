import TCPEngine
import TCPWire
import Testing

/// A receiver whose budget holds one slab of 32 blocks, their index and its reassembly state, its peer played by hand.
private struct Receiver: ~Copyable {
    var context: Context
    var connection: Connection
    private let chunk = [UInt8](repeating: 5, count: 64_000)

    init(budget: Int = 2048 * 32 + 1024 + Reassembly.cost) {
        context = Context(parameters: Parameters(), budget: budget, now: .zero)
        connection = Connection(
            state: .closed, initial: SequenceNumber(1000), linkSegmentSize: 1000, isIPv4: true, hopLimit: 64,
            timestampOffset: 0, context)
        connection.move(to: .synSent, &context)
        _ = connection.compose(superSegment: 0, &context)
        var options = TCPOptions()
        options.windowScale = 8
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(0), acknowledgment: SequenceNumber(1001),
            flags: [.syn, .ack], window: 60000, options: options)
        let nothing: [UInt8] = []
        connection.receive(header, nothing.span.bytes, segments: 1, &context)
        drain()
    }

    mutating func drain() { while connection.compose(superSegment: 0, &context) != nil {} }

    /// `count` octets from `sequence` on: the first of the stream is 1.
    mutating func receive(_ sequence: Int, _ count: Int, fin: Bool = false) {
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(UInt32(sequence)),
            acknowledgment: SequenceNumber(1001), flags: fin ? [.fin, .ack] : .ack, window: 60000)
        let chunk = self.chunk
        connection.receive(header, chunk.span.bytes.extracting(0..<count), segments: 1, &context)
        drain()
    }

    /// Reads all there is; says how much that was.
    mutating func read() -> Int {
        var octets = [UInt8](repeating: 0, count: 1 << 17)
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        let count = try? connection.read(into: &bytes, &context)
        drain()
        return (count ?? nil) ?? -1
    }
}

@Suite("What finds no memory is not taken")
struct MemoryLimitTests {
    @Test("A FIN behind octets that found no memory waits until they come again [U-39, B-27]")
    func finInOrder() {
        var receiver = Receiver()
        receiver.receive(1, 60_000)
        receiver.receive(60_001, 10_000, fin: true)
        #expect(receiver.connection.state == .established)
        #expect(receiver.connection.receive.next == SequenceNumber(65_537))
        let all = receiver.read()
        #expect(all == 65_536)
        receiver.receive(65_537, 4464, fin: true)
        #expect(receiver.connection.state == .closeWait)
        let rest = receiver.read()
        #expect(rest == 4464)
    }

    @Test("A FIN past a gap, behind octets that found no memory, is not kept [U-39, B-27]")
    func finPastGap() {
        var receiver = Receiver()
        receiver.receive(1, 60_000)
        receiver.receive(62_001, 8000, fin: true)
        receiver.receive(60_001, 2000)
        #expect(receiver.connection.state == .established)
        #expect(receiver.connection.receive.next == SequenceNumber(65_537))
    }

    @Test("The budget has back what a gap cost once it is filled")
    func gapGivesBack() {
        var receiver = Receiver(budget: 1 << 20)
        let before = receiver.context.budget.used
        receiver.receive(1001, 1000)
        #expect(receiver.context.budget.used >= before + Reassembly.cost)
        receiver.receive(1, 1000)
        let all = receiver.read()
        #expect(all == 2000)
        receiver.context.pool.trim(all: true, &receiver.context.budget)
        #expect(receiver.context.budget.used == before)
    }

    @Test("A budget gives its last byte, and no more")
    func lastByte() {
        var budget = Budget(limit: 100)
        let all = budget.reserve(100)
        let more = budget.reserve(1)
        #expect(all && !more)
        budget.release(40)
        #expect(budget.remaining == 40 && budget.used == 60 && budget.refusals == 1)
        let back = budget.reserve(40)
        #expect(back)
    }
}
