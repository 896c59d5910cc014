import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.1, §3.2: options of every shape, on every segment.
@Suite("TCP options")
struct OptionParsingTests {
    @Test("NOP, NOP, MSS, end of list: data segments obey the MSS [MUST-4, MUST-69]", arguments: Family.allCases)
    func basic(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        // What follows the end of the list is not an option, whatever it looks like.
        peer.send(.syn, options: [.nop, .nop, .mss(700), .end, .raw([3, 3, 14, 8, 10, 1, 1])])
        let answer = peer.expect([.syn, .ack], ack: 1)
        #expect(answer?.tcp.options.windowScale == nil)
        #expect(answer?.tcp.options.timestamps == nil)
        peer.send(.ack)
        peer.accept()
        peer.write(5000)
        #expect(peer.pending.map(\.length).max() == 700)
    }

    @Test(
        "An unknown option with a length is passed over; what follows it counts [MUST-6, MUST-68]",
        arguments: Family.allCases, Role.allCases)
    func unknown(family: Family, role: Role) {
        let peer = ScriptedPeer(family, offer: ScriptedPeer.Offer(mss: 800, sack: true))
        let options: [WireOption] = [.raw([99, 6, 1, 2, 3, 4]), .mss(800), .raw([254, 2]), .sackPermitted]
        if role == .passive {
            peer.listen()
            peer.send(.syn, options: options)
            let answer = peer.expect([.syn, .ack])
            #expect(answer?.tcp.options.sackPermitted == true)
            peer.send(.ack)
            peer.accept()
        } else {
            peer.enter(.synSent)
            peer.send([.syn, .ack], options: options)
            peer.expect(.ack)
        }
        peer.send(seq: 101, length: 10)
        #expect(peer.expect(.ack, ack: 1)?.sack.count == 1)
        peer.write(5000)
        #expect(peer.pending.map(\.length).max() ?? 0 <= 800)
    }

    @Test(
        "Options are read wherever they lie: MSS after one NOP, timestamps unaligned [MUST-64]",
        arguments: Family.allCases)
    func unaligned(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.syn, options: [.nop, .mss(650), .nop, .timestamps(4711, echo: 0), .nop, .windowScale(3)])
        let answer = peer.expect([.syn, .ack])
        #expect(answer?.tcp.options.timestamps?.echo == 4711)
        #expect(answer?.tcp.options.windowScale != nil)
        peer.offer.timestamps = true
        peer.offer.windowScale = 3
        peer.agree(stack: answer)
        peer.send(.ack, options: [.nop, .timestamps(4712, echo: peer.lastTimestamp), .nop])
        peer.accept()
        peer.write(5000)
        #expect(peer.pending.map(\.length).max() == 650 - 12)
        #expect(peer.pending.first?.tcp.options.timestamps?.echo == 4712)
    }

    @Test("Options on data, ACK, FIN and RST segments are parsed and do no harm [MUST-5]", arguments: Family.allCases)
    func anySegment(family: Family) {
        let odd: [WireOption] = [.nop, .raw([77, 5, 1, 2, 3]), .nop, .nop]
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.send(length: 100, options: odd)
        peer.expectRead(100)
        peer.write(10)
        peer.discard()
        peer.send(.ack, ack: 11, options: odd)
        #expect(peer.status?.unacknowledged == 0)
        peer.received = 11
        peer.send([.fin, .ack], options: odd)
        peer.expectState(.closeWait)
        peer.send(.rst, options: odd)
        peer.expectState(.closed)
    }

    @Test(
        "An option of length 0, 1 or past the header ends the segment in bounded time, counted [MUST-7, B-20]",
        arguments: Family.allCases)
    func illegalLength(family: Family) {
        let bad: [[UInt8]] = [
            [99, 0, 0, 0], [99, 1, 0, 0], [2, 0], [8, 0, 1, 1], [99, 40, 0, 0], [3, 255], [1, 1, 1, 2], [5, 1, 0, 0],
        ]
        let peer = ScriptedPeer(family)
        peer.establish()
        for octets in bad {
            peer.send(seq: 1, length: 10, options: [.raw(octets)])
            // A reset or silence, never an acknowledgment of what it held.
            for segment in peer.pending { #expect(segment.flags.contains(.rst)) }
            peer.discard()
        }
        #expect(peer.host.stack.counters[.badOption] == UInt64(bad.count))
        peer.expectState(.established)
        let other = ScriptedPeer(family, host: peer.host, port: 4001)
        for octets in bad { other.send(.syn, seq: 0, options: [.raw(octets)]) }
        other.expectNothing(for: .seconds(1))
        #expect(peer.host.stack.memory.halfOpenCount == 0)
    }

    @Test("Options given twice do no harm [B-20]", arguments: Family.allCases)
    func twice(family: Family) {
        let peer = ScriptedPeer(family)
        peer.offer = ScriptedPeer.Offer(windowScale: 2, sack: true)
        peer.listen()
        peer.send(
            .syn, options: [.mss(900), .mss(700), .sackPermitted, .sackPermitted, .windowScale(1), .windowScale(2)])
        peer.agree(stack: peer.expect([.syn, .ack]))
        peer.send(.ack)
        peer.accept()
        peer.write(5000)
        let largest = peer.pending.map(\.length).max() ?? 0
        #expect(largest == 700 || largest == 900)
    }

    @Test("A known option of a wrong length counts as unknown [MUST-6, B-20]", arguments: Family.allCases)
    func wrongLength(family: Family) {
        let peer = ScriptedPeer(family)
        peer.listen()
        peer.send(.syn, options: [.raw([2, 3, 9]), .raw([3, 4, 7, 7]), .raw([4, 3, 0]), .raw([8, 6, 1, 2, 3, 4])])
        let answer = peer.expect([.syn, .ack])
        #expect(answer?.tcp.options.windowScale == nil)
        #expect(answer?.tcp.options.sackPermitted == false)
        #expect(answer?.tcp.options.timestamps == nil)
        peer.send(.ack)
        peer.accept()
        peer.write(5000)
        #expect(peer.pending.map(\.length).max() == family.defaultMSS)
    }

    @Test("Random options change nothing that was agreed and stop nothing [MUST-5, MUST-68, B-20]")
    func random() {
        var generator = Pseudorandom(seed: 9)
        let peer = ScriptedPeer(.ipv4)
        peer.establish()
        peer.checksLedger = false
        for _ in 0..<500 {
            let count = Int(generator.next() % 10) * 4
            let octets = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next() % 12) }
            peer.send(seq: peer.next, length: 3, options: [.raw(octets)])
        }
        peer.discard()
        peer.expectState(.established)
        peer.next = 1
        peer.send(length: 100)
        peer.host.advance(by: .milliseconds(500))
        #expect(peer.history.last.map(peer.relativeAcknowledgment) == 101)
        peer.expectRead(100)
    }

    @Test(
        "Our SYN's options come in the order MSS, SACK permitted, timestamps, NOP, window scale [RFC 7323 appendix A]",
        arguments: Family.allCases)
    func order(family: Family) {
        let peer = ScriptedPeer(family)
        peer.connect()
        guard let syn = peer.expect(.syn) else { return }
        #expect(kinds(syn.optionBytes) == [2, 4, 8, 1, 3])
    }

    private func kinds(_ options: [UInt8]) -> [UInt8] {
        var kinds: [UInt8] = []
        var index = 0
        while index < options.count {
            kinds.append(options[index])
            index += options[index] < 2 ? 1 : Int(options[index + 1])
        }
        return kinds
    }

    @Test(
        "A SYN,ACK offers only what the SYN offered [RFC 7323 §2.2, §3.2, RFC 2018 §2, 7323-2, 2018-1]",
        arguments: Family.allCases,
        0..<8)
    func answersOffer(family: Family, bits: Int) {
        let offer = ScriptedPeer.Offer(
            windowScale: bits & 1 != 0 ? 5 : nil, sack: bits & 2 != 0, timestamps: bits & 4 != 0)
        let peer = ScriptedPeer(family, offer: offer)
        peer.listen()
        peer.send(.syn)
        let options = peer.expect([.syn, .ack])?.tcp.options
        #expect((options?.windowScale != nil) == (bits & 1 != 0))
        #expect(options?.sackPermitted == (bits & 2 != 0))
        #expect((options?.timestamps != nil) == (bits & 4 != 0))
    }
}

/// A small generator, so that a test is the same every time.
struct Pseudorandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// splitmix64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
