import TCPEngine
import TCPWire
import Testing

/// An established receiver whose peer is played by hand.
private struct Receiver: ~Copyable {
    var context: Context
    var connection: Connection
    /// The peer's initial number.
    let peer: SequenceNumber

    init(peer: SequenceNumber, window: Int) {
        self.peer = peer
        var parameters = Parameters()
        parameters.receiveBuffer = window
        parameters.timestamps = false
        parameters.windowScaling = false
        context = Context(parameters: parameters, budget: 1 << 24, now: .zero)
        connection = Connection(
            state: .closed, initial: SequenceNumber(1000), linkSegmentSize: 1000, isIPv4: true, hopLimit: 64,
            timestampOffset: 0, context)
        connection.move(to: .synSent, &context)
        _ = connection.compose(superSegment: 0, &context)
        var options = TCPOptions()
        options.sackPermitted = true
        receive([], sequence: peer, flags: [.syn, .ack], options: options)
        while connection.compose(superSegment: 0, &context) != nil {}
    }

    mutating func receive(
        _ payload: [UInt8], sequence: SequenceNumber, flags: TCPFlags = .ack, options: TCPOptions = TCPOptions()
    ) {
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: sequence, acknowledgment: SequenceNumber(1001), flags: flags,
            window: 60000, options: options)
        connection.receive(header, payload.span.bytes, segments: 1, &context)
    }

    /// Reads up to `count` octets.
    mutating func read(_ count: Int) -> [UInt8] {
        var target = [UInt8](repeating: 0, count: count)
        let got = readInto(&target)
        return Array(target[..<got])
    }

    private mutating func readInto(_ target: inout [UInt8]) -> Int {
        var span = target.mutableSpan
        var raw = span.mutableBytes
        return (try? connection.read(into: &raw, &context)) ?? 0
    }
}

@Suite("Reassembly behaves as a list of octets, each of which is what came first (RFC 9293 §3.10.7.4, seventh)")
struct ReassemblyModelTests {
    @Test(
        "Segments of any order and overlap, with octets that contradict each other, leave what came first of each octet"
    )
    func agrees() {
        for seed in 0..<UInt64(rounds / 4) {
            var random = Generator(state: seed &+ 6_000_000)
            let window = Int.random(in: 300...5000, using: &random)
            // Across the wrap of the circle.
            var receiver = Receiver(
                peer: SequenceNumber(UInt32.max &- UInt32.random(in: 0...3000, using: &random)), window: window)
            let first = receiver.peer + 1
            var held: [Int: UInt8] = [:]
            var next = 0
            var read = 0
            for _ in 0..<60 {
                let edge = receiver.connection.receive.edge.distance(from: first)
                let start = Int.random(in: next - 100...max(next, edge) + 50, using: &random)
                let bytes = (0..<Int.random(in: 1...400, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                receiver.receive(bytes, sequence: first + start)
                for (index, octet) in bytes.enumerated() {
                    let position = start + index
                    if position >= next, position < edge, held[position] == nil { held[position] = octet }
                }
                while held[next] != nil { next += 1 }
                #expect(receiver.connection.receive.next == first + next, "seed \(seed)")
                let ranges = receiver.connection.reassembly?.ranges.byteCount ?? 0
                #expect(ranges == held.keys.filter { $0 >= next }.count, "seed \(seed)")
                if Int.random(in: 0..<3, using: &random) == 0 {
                    let got = receiver.read(Int.random(in: 1...1000, using: &random))
                    #expect(got == (read..<read + got.count).map { held[$0] ?? 0 }, "seed \(seed)")
                    read += got.count
                    #expect(read <= next, "seed \(seed)")
                }
                while receiver.connection.compose(superSegment: 0, &receiver.context) != nil {}
                #expect(receiver.connection.audit(receiver.context) == nil, "seed \(seed)")
            }
            while true {
                let got = receiver.read(700)
                if got.isEmpty { break }
                #expect(got == (read..<read + got.count).map { held[$0] ?? 0 }, "seed \(seed)")
                read += got.count
            }
            #expect(read == next, "seed \(seed)")
            receiver.connection.dispose(&receiver.context)
            #expect(receiver.context.pool.usedBlocks == 0 && receiver.context.recoveryBytes == 0, "seed \(seed)")
        }
    }

    @Test("SACK blocks name ranges that are held, the newest first (RFC 2018 §4)")
    func blocks() {
        for seed in 0..<UInt64(rounds / 4) {
            var random = Generator(state: seed &+ 7_000_000)
            let base = SequenceNumber(UInt32.max &- 500)
            let reassembly = Reassembly()
            var latest: Int?
            for _ in 0..<12 {
                let start = Int.random(in: 1...2000, using: &random)
                let end = start + Int.random(in: 1...60, using: &random)
                reassembly.ranges.insert(SACKBlock(start: base + start, end: base + end), limit: 1000)
                reassembly.note(base + start)
                latest = start
                var options = TCPOptions()
                reassembly.fillSACK(&options, room: 4)
                #expect(options.sackCount == min(4, options.sackCount) && options.sackCount > 0, "seed \(seed)")
                let newest = options.sackBlocks[0]
                #expect(newest.start <= base + latest! && base + latest! < newest.end, "seed \(seed)")
                for index in 0..<options.sackCount {
                    #expect(reassembly.ranges.ranges.contains(options.sackBlocks[index]), "seed \(seed)")
                    for other in 0..<index {
                        #expect(options.sackBlocks[index] != options.sackBlocks[other], "seed \(seed): told twice")
                    }
                }
            }
        }
    }
}
