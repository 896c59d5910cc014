import TCPEngine
import TCPWire
import Testing

@Suite("The scoreboard behaves as a list of octets (RFC 6675 §4, RFC 8985 §5.2)")
struct ScoreboardModelTests {
    /// What is known of one octet.
    private struct Octet: Equatable {
        var sentAt: Int64
        var isSacked = false
        var isLost = false
        var isRetransmission = false
    }

    /// The scoreboard, and the plainest model of it. Numbers are counted from `base`.
    private struct Board: ~Copyable {
        var context: Context
        var rate = DeliveryRate(now: .zero)
        var transmissions: Transmissions
        let base: SequenceNumber
        /// What the limit of ranges is counted by.
        var segmentSize = 1
        var start = 0
        var octets: [Octet] = []
        var highest = 0
        var clock: Int64 = 1_000

        var end: Int { start + octets.count }

        init(budget: Int, base: SequenceNumber) {
            context = Context(parameters: Parameters(), budget: budget, now: .zero)
            transmissions = Transmissions(at: base)
            self.base = base
        }

        private var delivery: Delivery {
            Delivery(
                now: Instant(nanoseconds: clock), echo: nil, timestampOffset: 0, leastRoundTrip: 0,
                highest: base + highest, sample: rate.begin())
        }

        /// Sends `count` new octets, if there is a record for them.
        mutating func append(_ count: Int) {
            guard transmissions.makeRoom(for: 1, &context) else { return }
            transmissions.append(Transmission(sentAt: Instant(nanoseconds: clock), end: base + (end + count)))
            octets += Array(repeating: Octet(sentAt: clock), count: count)
        }

        /// Says how many octets are news.
        mutating func acknowledge(to number: Int) -> Int {
            var delivery = self.delivery
            transmissions.acknowledge(to: base + number, &delivery, &rate)
            let gone = octets.prefix(number - start)
            let news = gone.count { !$0.isSacked }
            if gone.last?.isSacked == false { highest = max(highest, number) }
            octets.removeFirst(number - start)
            start = number
            #expect(delivery.octets == news)
            return news
        }

        /// What the peer says; nonsense too.
        mutating func sack(_ low: Int, _ high: Int) -> Delivery {
            var delivery = self.delivery
            transmissions.sack(
                SACKBlock(start: base + low, end: base + high), segmentSize: segmentSize, &delivery, &rate, &context)
            return delivery
        }

        /// The same of the model, as if memory had no end.
        mutating func modelSack(_ low: Int, _ high: Int) -> Int {
            // What begins at SND.UNA would have been acknowledged.
            guard low < high, low > start, high <= end else { return 0 }
            var news = 0
            for place in low - start..<high - start where !octets[place].isSacked {
                octets[place].isSacked = true
                octets[place].isLost = false
                news += 1
                highest = max(highest, start + place + 1)
            }
            return news
        }

        mutating func lose(_ index: Int) {
            let record = transmissions[index]
            guard !record.isSacked, !record.isLost else { return }
            let low = transmissions.start(of: index).distance(from: base)
            let high = record.end.distance(from: base)
            #expect(transmissions.noteLost(index) == high - low)
            transmissions.join(at: index)
            for octet in low..<high { octets[octet - start].isLost = true }
        }

        /// Sends some of the first that is lost again.
        mutating func sendAgain(_ count: Int) {
            guard let lost = transmissions.firstLost else { return }
            let low = lost.start.distance(from: base)
            let high = min(lost.end.distance(from: base), low + count)
            transmissions.sendAgain(
                from: base + low, to: base + high, at: Instant(nanoseconds: clock),
                SendStamp(delivered: 0, lost: 0, deliveredAge: 0, sendAge: 0), 0, &context)
            for octet in low..<high { octets[octet - start] = Octet(sentAt: clock, isRetransmission: true) }
        }

        mutating func forgetSacked() {
            transmissions.forgetSacked()
            for index in octets.indices where octets[index].isSacked {
                octets[index].isSacked = false
                octets[index].isLost = true
                octets[index].isRetransmission = true
            }
        }

        mutating func forgetLost() {
            transmissions.forgetLost()
            for index in octets.indices { octets[index].isLost = false }
        }

        /// What holds whatever there is of memory.
        func audit(_ note: Comment) {
            var (sacked, lost, ranges) = (0, 0, 0)
            var low = base + start
            #expect(transmissions.start == low, note)
            for index in 0..<transmissions.count {
                let record = transmissions[index]
                #expect(transmissions.start(of: index) == low && record.end > low, note)
                #expect(!(record.isSacked && record.isLost), note)
                let count = record.end.distance(from: low)
                if record.isSacked { (sacked, ranges) = (sacked + count, ranges + 1) }
                if record.isLost { lost += count }
                low = record.end
            }
            #expect(transmissions.end == base + end && (transmissions.isEmpty || low == base + end), note)
            #expect(transmissions.sackedOctets == sacked && transmissions.lostOctets == lost, note)
            #expect(transmissions.sackedRanges == ranges, note)
            #expect(transmissions.pipe == octets.count - sacked - lost, note)
            #expect(context.recoveryBytes == transmissions.cost, note)
            #expect(context.budget.used <= max(context.budget.limit, 0), note)
        }

        /// With memory each octet is what the model says.
        func compare(_ note: Comment) {
            var place = 0
            for index in 0..<transmissions.count {
                let record = transmissions[index]
                while start + place < record.end.distance(from: base) {
                    let octet = octets[place]
                    #expect(record.isSacked == octet.isSacked && record.isLost == octet.isLost, note)
                    // When it was sent matters while it is on the way. Records that became one have the later time, lest
                    // anything is judged too early.
                    if !octet.isSacked, !octet.isLost {
                        #expect(record.sentAt.nanoseconds >= octet.sentAt, note)
                    }
                    if !octet.isSacked, !octet.isLost, !wasForgotten {
                        #expect(record.sentAt.nanoseconds == octet.sentAt, note)
                        #expect(record.isRetransmission == octet.isRetransmission, note)
                    }
                    place += 1
                }
            }
            let firstLost = octets.firstIndex { $0.isLost }.map { base + (start + $0) }
            #expect(transmissions.firstLost?.start == firstLost, note)
            for block in transmissions.sackedBlocks {
                let low = block.start.distance(from: base) - start
                #expect(low == 0 || !octets[low - 1].isSacked, note)
            }
            #expect(transmissions.sackedBlocks.count == transmissions.sackedRanges, note)
        }

        /// Once reports or losses are forgotten, records that were one no longer know their own times.
        var wasForgotten = false
    }

    private func step(_ board: inout Board, _ random: inout Generator) {
        if Bool.random(using: &random) { board.clock += Int64.random(in: 1...50, using: &random) }
        switch Int.random(in: 0..<9, using: &random) {
        case 0, 1: board.append(Int.random(in: 1...60, using: &random))
        case 2:
            _ = board.acknowledge(to: Int.random(in: board.start...min(board.end, board.start + 50), using: &random))
        case 3 where !board.transmissions.isEmpty:
            board.lose(Int.random(in: 0..<board.transmissions.count, using: &random))
        case 4: board.sendAgain(Int.random(in: 1...40, using: &random))
        case 5 where Int.random(in: 0..<8, using: &random) == 0:
            board.wasForgotten = true
            if Bool.random(using: &random) { board.forgetSacked() } else { board.forgetLost() }
        default:
            // Before SND.UNA, past SND.NXT and backwards too.
            let low = Int.random(in: board.start - 30...board.end + 20, using: &random)
            let high = low + Int.random(in: -10...70, using: &random)
            let news = board.modelSack(low, high)
            let delivery = board.sack(low, high)
            #expect(delivery.octets == news)
            #expect(delivery.highest == board.base + board.highest)
        }
    }

    @Test(
        "What is reported, lost, sent again and on the way is what the octets say, one by one [RFC 6675 §4, RFC 8985 §5.2, 6675-1, 2018-7]"
    )
    func agrees() {
        for seed in 0..<UInt64(rounds / 4) {
            var random = Generator(state: seed &+ 3_000_000)
            // Across the wrap of the circle.
            var board = Board(
                budget: 1 << 20, base: SequenceNumber(UInt32.max &- UInt32.random(in: 0...500, using: &random)))
            board.append(Int.random(in: 50...300, using: &random))
            for count in 0..<40 {
                step(&board, &random)
                board.audit("seed \(seed), step \(count)")
                board.compare("seed \(seed), step \(count)")
            }
            _ = board.acknowledge(to: board.end)
            board.transmissions.removeAll(at: board.transmissions.end, &board.context)
            board.context.pool.trim(all: true, &board.context.budget)
            #expect(board.context.budget.used == 0 && board.context.recoveryBytes == 0)
        }
    }

    @Test(
        "Without memory two records still send, are acknowledged, are lost and sent again; reports of parts are no news"
    )
    func withoutMemory() {
        for seed in 0..<UInt64(rounds / 4) {
            var random = Generator(state: seed &+ 4_000_000)
            var board = Board(budget: 0, base: SequenceNumber(UInt32.max &- 100))
            for count in 0..<60 {
                board.clock += 10
                switch Int.random(in: 0..<5, using: &random) {
                case 0: board.append(Int.random(in: 1...60, using: &random))
                case 1:
                    let number = Int.random(in: board.start...board.end, using: &random)
                    var delivery = Delivery(
                        now: .zero, echo: nil, timestampOffset: 0, leastRoundTrip: 0, highest: board.base,
                        sample: board.rate.begin())
                    board.transmissions.acknowledge(to: board.base + number, &delivery, &board.rate)
                    board.octets.removeFirst(number - board.start)
                    board.start = number
                case 2:
                    let low = Int.random(in: board.start...board.end, using: &random)
                    let high = Int.random(in: low...board.end, using: &random)
                    let before = board.transmissions.sackedOctets
                    let delivery = board.sack(low, high)
                    // Nothing counts that was not reported.
                    #expect(delivery.octets <= high - low)
                    #expect(board.transmissions.sackedOctets == before + delivery.octets)
                case 3:
                    for index in 0..<board.transmissions.count {
                        let record = board.transmissions[index]
                        if !record.isSacked, !record.isLost { _ = board.transmissions.noteLost(index) }
                    }
                default:
                    guard let lost = board.transmissions.firstLost else { continue }
                    let before = board.transmissions.lostOctets
                    board.transmissions.sendAgain(
                        from: lost.start, to: lost.start + 1, at: Instant(nanoseconds: board.clock),
                        SendStamp(delivered: 0, lost: 0, deliveredAge: 0, sendAge: 0), 0, &board.context)
                    #expect(board.transmissions.lostOctets < before, "what was sent again is not lost")
                }
                #expect(board.transmissions.count <= 2 && board.transmissions.cost == 0)
                board.audit("seed \(seed), step \(count)")
            }
        }
    }

    @Test("No more ranges are kept than the limit, however the reports lie; more of a range is always news [B-16]")
    func rangeLimit() {
        let flight = 1 << 23
        let limit = Transmissions.rangeLimit(inFlight: flight, segmentSize: 1000)
        #expect(limit == 8192)
        #expect(Transmissions.rangeLimit(inFlight: 60_000, segmentSize: 1000) == 60)
        var board = Board(budget: 1 << 24, base: SequenceNumber(77))
        board.append(flight)
        // The right end is held, so that what is left of the record always has a neighbour that is.
        _ = board.sack(flight - 10, flight)
        for index in 1..<limit + 200 { _ = board.sack(2 * index, 2 * index + 1) }
        #expect(board.transmissions.sackedRanges == limit)
        #expect(board.transmissions.sackedOctets == limit + 9)
        // Beside one that is kept: no new range.
        _ = board.sack(flight - 20, flight - 10)
        #expect(board.transmissions.sackedOctets == limit + 19)
        // Between two of them: one range less, and so there is room for another.
        _ = board.sack(3, 4)
        #expect(board.transmissions.sackedRanges == limit - 1)
        _ = board.sack(50_000, 50_001)
        #expect(board.transmissions.sackedRanges == limit)
        #expect(board.context.recoveryBytes == board.transmissions.cost)
        #expect(MemoryLayout<Transmission>.stride <= 32, "a record is 32 bytes")
    }

    @Test(
        "What one acknowledgment reports is reordered only if something sent once lies below what is known [RFC 8985 §6.2 step 3]"
    )
    func reordering() {
        var board = Board(budget: 1 << 16, base: SequenceNumber(5))
        for _ in 0..<6 {
            board.clock += 1
            board.append(100)
        }
        var delivery = board.sack(200, 300)
        #expect(!delivery.isReordered && delivery.octets == 100)
        board.highest = 300
        delivery = board.sack(300, 400)
        #expect(!delivery.isReordered)
        board.highest = 400
        delivery = board.sack(100, 200)
        #expect(delivery.isReordered)
    }
}
