import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Floods on one connection of what is right by the letter and costs a careless stack dearly: SegmentSmack
/// (CVE-2018-5390), SACK Panic and its like (CVE-2019-11477, 11478, 11479).
@Suite("Floods of small segments and of SACK blocks")
struct SegmentFloodTests {
    private static let packets = attacks(100_000, debug: 3_000)
    private static let block = 250

    /// Holds what each packet costs against the first thousand, and names the figures.
    private func holdCost(_ blocks: [Int64], _ what: String) {
        let growth = Work.growth(blocks, first: 1000 / SegmentFloodTests.block)
        print("\(what): the last packets cost \(growth) % of the first thousand")
        #expect(growth <= 400, "\(what): the last packets cost \(growth) % of the first thousand")
    }

    enum Order: String, CaseIterable, CustomTestStringConvertible {
        case rising, falling, random
        var testDescription: String { rawValue }

        /// Where the `index`-th of `count` octets lies, two apart.
        func offset(_ index: Int, of count: Int, _ random: inout Pseudorandom) -> Int {
            switch self {
            case .rising: 2 * index
            case .falling: 2 * (count - 1 - index)
            case .random: 2 * Int(random.next() % UInt64(count))
            }
        }
    }

    @Test(
        "10⁵ one-octet segments out of order hold no more than 600 KiB, and the last costs at most 4 times the first [B-16]",
        arguments: Family.allCases, Order.allCases)
    func outOfOrder(family: Family, order: Order) {
        for sack in [false, true] {
            let target = Target(family)
            let peer = Peer(target)
            #expect(peer.open(sack: sack, scale: 7))
            let empty = target.stack.memory.total
            var random = Pseudorandom(seed: 5390)
            var most = 0
            let count = SegmentFloodTests.packets
            let blocks = Work.blocks(count, of: SegmentFloodTests.block) { index in
                peer.send(.ack, sequence: peer.next + (1 + order.offset(index, of: count, &random)), payload: 1)
                target.drain()
                if index % 100 == 0 { most = max(most, target.stack.memory.total - empty) }
            }
            // 256 ranges at most, each in a block of 2 KiB, in slabs of 64 KiB; the list of them.
            #expect(most > 0 && most <= 600 << 10, "\(most) bytes")
            #expect(target.fault == nil)
            holdCost(blocks, "one-octet segments, \(order), SACK \(sack)")
            // The stream goes on, whatever of it must come again.
            var read = 0
            for _ in 0..<3 * count / 1000 + 3 {
                peer.send(.ack, payload: 1000)
                peer.next += 1000
                target.drain()
                read += peer.id.map { target.read($0) } ?? 0
            }
            #expect(read == (3 * count / 1000 + 3) * 1000)
            #expect(target.stack.memory.recovery == 0)
            target.pass(.seconds(3))
            #expect(target.stack.memory.total <= empty)
        }
    }

    @Test(
        "An octet that came twice past a gap leaves no memory behind when the gap is closed, with SACK and without [B-16, B-28]",
        arguments: Family.allCases, [false, true])
    func twice(family: Family, sack: Bool) {
        for length in [1, 2, 100] {
            let target = Target(family)
            let peer = Peer(target)
            #expect(peer.open(sack: sack))
            peer.send(.ack, sequence: peer.next + 100, payload: 2)
            peer.send(.ack, sequence: peer.next + 101, payload: length)
            peer.send(.ack, payload: 300)
            target.drain()
            #expect(peer.id.map { target.read($0) } == 300)
            #expect(target.stack.memory.recovery == 0 && target.stack.memory.buffers == 0)
        }
    }

    @Test(
        "10⁵ ACKs of 4 SACK blocks each, permuted, hold no more than the flight has use for; the last costs at most 4 times the first, and 10 times an ACK without blocks [B-16, 2018-7]",
        arguments: Family.allCases, [1, 48, 1000])
    func blocks(family: Family, size: Int) {
        let target = Target(family) { $0.sendBuffer = 4 << 20 }
        let peer = Peer(target)
        #expect(peer.open(mss: 1460, sack: true, scale: 10))
        guard let id = peer.id else { return }
        // A window of data in flight, so that there are many octets to report.
        target.write(id, 1 << 20)
        var end = peer.received
        target.drain { end = .later(end, $0.tcp.sequence + $0.length) }
        peer.onAnswer = { end = .later(end, $0.tcp.sequence + $0.length) }
        for _ in 0..<8 {
            let all = end
            while peer.received < all {
                target.write(id, 1 << 20)
                peer.received = .earlier(all, peer.received + 2920)
                peer.send(.ack)
            }
        }
        peer.onAnswer = nil
        let flight = end.distance(from: peer.received)
        #expect(flight > 1_000_000)
        let before = target.stack.memory.recovery
        // What an acknowledgment costs that says nothing, in the same run.
        let plain = Work.blocks(2_000, of: SegmentFloodTests.block) { _ in
            peer.send(.ack, window: peer.window &- 1)
            target.drain()
        }
        var random = Pseudorandom(seed: 11477)
        var most = 0
        let work = Work.blocks(SegmentFloodTests.packets, of: SegmentFloodTests.block) { _ in
            var options = TCPOptions()
            for _ in 0..<4 {
                let slot = Int(random.next() % UInt64(flight / (size + 1)))
                let start = peer.received + (1 + slot * (size + 1))
                options.appendSACK(.init(start: start, end: start + size))
            }
            peer.send(.ack, options: options)
            target.drain()
            most = max(most, target.stack.memory.recovery - before)
        }
        // A record for each segment and each gap between two, and the array they are in, which doubles.
        #expect(most <= 128 * (flight / 1460) + 4096, "\(most) bytes for \(flight) octets in flight")
        #expect(target.fault == nil && peer.state == .established)
        holdCost(work, "SACK blocks of \(size)")
        let ratio = (work.suffix(8).min() ?? 0) / max(plain.min() ?? 1, 1)
        print("SACK blocks of \(size): \(ratio) times an ACK without")
        #expect(ratio <= 10, "\(ratio) times an ACK without blocks")
    }

    @Test(
        "A peer with an MSS of 48 that leaves every second segment out has its 10⁵ ACKs at 4 times the first's cost at most, and gets its octets [B-16, B-19]",
        arguments: Family.allCases)
    func tinySegments(family: Family) {
        let target = Target(family)
        let peer = Peer(target)
        #expect(peer.open(mss: 48, sack: true, scale: 7))
        guard let id = peer.id else { return }
        let empty = target.stack.memory.total
        let count = SegmentFloodTests.packets
        var held: [SequenceNumber] = []
        var queue: [SequenceNumber] = []
        var head = 0
        var number = 0
        var answered = 0
        var most = 0
        target.write(id, 1 << 16)
        let work = Work.blocks(count, of: SegmentFloodTests.block) { _ in
            target.drain { answer in
                if answer.length > 0 { queue.append(answer.tcp.sequence) }
            }
            guard head < queue.count else {
                target.write(id, 1 << 16)
                // Nothing is on the way: the timer's turn.
                target.pass(.milliseconds(250)) { answer in
                    if answer.length > 0 { queue.append(answer.tcp.sequence) }
                }
                return
            }
            let start = queue[head]
            head += 1
            number += 1
            // Every second segment is lost the first time; of the others the latest blocks are reported.
            if start == peer.received {
                peer.received = start + 48
                while let next = held.firstIndex(of: peer.received) {
                    held.remove(at: next)
                    peer.received += 48
                }
            } else if start > peer.received, number % 2 == 0, !held.contains(start) {
                held.append(start)
            }
            if held.count > 200 { held.removeFirst() }
            var options = TCPOptions()
            for start in held.suffix(4) { options.appendSACK(.init(start: start, end: start + 48)) }
            peer.send(.ack, options: options)
            answered += 1
            if answered % 16 == 0 { target.write(id, 1 << 16) }
            most = max(most, target.stack.memory.total - empty)
        }
        #expect(peer.state == .established && target.fault == nil)
        // Records are an eighth of what is in flight at most, and half of that again while they move to a larger array.
        #expect(most <= target.configuration.sendBuffer * 19 / 16, "\(most) bytes")
        #expect(peer.received.distance(from: peer.stackInitial) > count)
        holdCost(work, "MSS 48")
    }
}
