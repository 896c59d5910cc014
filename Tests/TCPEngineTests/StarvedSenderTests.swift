import TCPEngine
import TCPWire
import Testing

/// A sender whose peer holds what came of its stream, 20 ms away; anything may be lost, and others may take all memory.
private struct Starved: ~Copyable {
    var context: Context
    var connection: Connection
    private var random: UInt64
    /// Which octets of the stream have come.
    private var held: [Bool]
    private(set) var delivered = 0
    private var written = 0
    private var answers: [(at: Instant, number: Int, blocks: [Range<Int>])] = []
    private(set) var taken = 0
    private let chunk = [UInt8](repeating: 5, count: 8_000)
    private static let first = SequenceNumber(1001)

    init(seed: UInt64, octets: Int, sack: Bool, control: CongestionControl) {
        random = seed
        held = Array(repeating: false, count: octets)
        var parameters = Parameters()
        parameters.congestionControl = control
        context = Context(parameters: parameters, budget: 1 << 20, now: .zero)
        connection = Connection(
            state: .closed, initial: SequenceNumber(1000), linkSegmentSize: 1000, isIPv4: true, hopLimit: 64,
            timestampOffset: 0, context)
        connection.move(to: .synSent, &context)
        _ = connection.compose(superSegment: 0, &context)
        context.now = context.now.advanced(byNanoseconds: 40_000_000)
        var options = TCPOptions()
        options.maximumSegmentSize = 1000
        options.windowScale = 8
        options.sackPermitted = sack
        receive([.syn, .ack], sequence: 0, number: 0, options)
    }

    private mutating func roll(_ faces: UInt64) -> UInt64 {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (random >> 33) % faces
    }

    private mutating func receive(_ flags: TCPFlags, sequence: UInt32, number: Int, _ options: TCPOptions) {
        let header = TCPHeader(
            sourcePort: 1, destinationPort: 2, sequence: SequenceNumber(sequence),
            acknowledgment: Starved.first + number, flags: flags, window: 60_000, options: options)
        let nothing: [UInt8] = []
        connection.receive(header, nothing.span.bytes, segments: 1, &context)
    }

    /// Others take what memory there is, or give it back.
    private mutating func disturb() {
        if taken > 0 {
            context.budget.release(taken)
            taken = 0
        } else {
            let rest = context.budget.remaining
            if context.budget.reserve(rest) { taken = rest }
        }
    }

    private mutating func write() {
        guard written < held.count else { return }
        let chunk = self.chunk
        let count = min(chunk.count, held.count - written)
        written += (try? connection.write(chunk.span.bytes.extracting(0..<count), &context)) ?? 0
    }

    private mutating func send() {
        while let segment = connection.compose(superSegment: 0, &context) {
            guard segment.payloadLength > 0, roll(8) > 0 else { continue }
            let start = segment.sequence.distance(from: Starved.first)
            for index in start..<start + segment.payloadLength { held[index] = true }
            while delivered < held.count, held[delivered] { delivered += 1 }
            guard roll(8) > 0 else { continue }
            answers.append((context.now.advanced(byNanoseconds: 40_000_000), delivered, ranges(near: start)))
        }
    }

    /// The range that came last, and the two lowest besides.
    private func ranges(near place: Int) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var start: Int?
        for index in delivered..<held.count + 1 {
            let isHeld = index < held.count && held[index]
            if isHeld, start == nil { start = index }
            if !isHeld, let begin = start {
                result.append(begin..<index)
                start = nil
            }
        }
        guard let latest = result.firstIndex(where: { $0.contains(place) }) else { return Array(result.prefix(3)) }
        return [result.remove(at: latest)] + result.prefix(2)
    }

    /// Lets time pass until the next thing happens; `false` when nothing will.
    mutating func step() -> Bool {
        if roll(16) == 0 { disturb() }
        if taken == 0 { write() }
        send()
        let due = min(connection.nextDeadline(context), answers.first?.at ?? .distantFuture)
        guard due < .distantFuture else {
            // Nothing is under way: there is more to send when there is memory for it.
            guard taken > 0 else { return false }
            disturb()
            return true
        }
        context.now = max(context.now, due)
        while let answer = answers.first, answer.at <= context.now {
            answers.removeFirst()
            var options = TCPOptions()
            if connection.usesSACK {
                for block in answer.blocks {
                    options.appendSACK(
                        SACKBlock(start: Starved.first + block.lowerBound, end: Starved.first + block.upperBound))
                }
            }
            receive(.ack, sequence: 1, number: answer.number, options)
        }
        connection.fireTimers(&context)
        return true
    }

    mutating func giveBack() {
        if taken > 0 { disturb() }
    }
}

@Suite("A sender for whose records there is no memory")
struct StarvedSenderTests {
    @Test(
        "Whatever is lost while others hold all memory, every octet arrives, and nothing stays charged [rule 4]",
        arguments: [false, true], CongestionControl.allCases)
    func arrives(sack: Bool, control: CongestionControl) {
        var starved = 0
        for seed in 1...20 as ClosedRange<UInt64> {
            let octets = 100_000
            var sender = Starved(seed: seed, octets: octets, sack: sack, control: control)
            var steps = 0
            while sender.delivered < octets || sender.connection.inFlight > 0, steps < 100_000 {
                steps += 1
                if sender.taken > 0 { starved += 1 }
                guard sender.step() else { break }
                #expect(sender.connection.audit(sender.context) == nil, "seed \(seed), step \(steps)")
            }
            #expect(sender.delivered == octets && sender.connection.inFlight == 0, "seed \(seed), step \(steps)")
            sender.giveBack()
            sender.connection.dispose(&sender.context)
            sender.context.pool.trim(all: true, &sender.context.budget)
            let used = sender.context.budget.used
            #expect(used == 0 && sender.context.recoveryBytes == 0, "seed \(seed)")
        }
        #expect(starved > 200)
    }
}
