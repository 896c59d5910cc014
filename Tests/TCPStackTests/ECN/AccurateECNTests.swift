import TCPEngine
import TCPStack
import TCPWire
import Testing

/// The counter in a segment's header: AE, CWR and ECE (RFC 9768 §3.2.2).
func counter(_ flags: TCPFlags) -> Int { Int(flags.rawValue >> 6 & 7) }
/// The flags of a counter.
func ace(_ value: Int) -> TCPFlags { TCPFlags(rawValue: UInt16(value & 7) << 6) }

/// An option of RFC 9768 §3.2.3: kind 172, or 174 with the order turned round.
func marked(_ kind: UInt8 = 172, _ fields: UInt32...) -> WireOption {
    .raw([kind, UInt8(2 + 3 * fields.count)] + fields.flatMap { big32($0).dropFirst() })
}

@Suite("Accurate ECN: the handshake") struct AccurateHandshakeTests {
    private func sendsCapable(_ path: MarkedPath) -> Bool {
        path.peer.discard()
        path.peer.write(500)
        let sent = path.take()
        #expect(sent.count == 1)
        return sent.first?.codepoint == .capable0
    }

    /// How a handshake tells with which field a SYN or SYN-ACK came.
    static let fields: [(ECNCodepoint, Int)] = [
        (.notCapable, 0b010), (.capable1, 0b011), (.capable0, 0b100), (.congestion, 0b110),
    ]

    @Test(
        "A SYN has all three flags and no option; the third segment tells how the SYN-ACK came [3168-6, 3168-9]",
        arguments: fields)
    func client(codepoint: ECNCodepoint, code: Int) {
        let path = MarkedPath(.ipv4, .accurate)
        let syn = path.connect(answer: ace(0b010), arriving: codepoint)
        #expect(syn?.ecnFlags == [.ae, .cwr, .ece] && syn?.codepoint == .notCapable)
        #expect(syn?.tcp.options.accurateECN == nil)
        let third = path.take()
        #expect(third.count == 1 && third.first.map { counter($0.flags) } == code)
        #expect(third.first?.tcp.options.accurateECN?.ect0 == 1)
        // The counter begins at five, and a mark on the SYN-ACK is in it.
        path.peer.write(path.size)
        let data = path.take()
        #expect(data.first.map { counter($0.flags) } == (codepoint == .congestion ? 6 : 5))
        #expect(data.first?.codepoint == .capable0 && data.first?.tcp.options.accurateECN != nil)
    }

    @Test(
        "A SYN with all three flags is answered with how it came, and an option [RFC 9768 §3.1.1, 3168-6]",
        arguments: fields)
    func server(codepoint: ECNCodepoint, code: Int) {
        let path = MarkedPath(.ipv4, .accurate)
        let answer = path.accept([.ae, .cwr, .ece], arriving: codepoint, third: TCPFlags.ack.union(ace(0b010)))
        #expect(answer.map { counter($0.flags) } == code && answer?.codepoint == .notCapable)
        let option = answer?.tcp.options.accurateECN
        #expect(option?.ect0 == 1 && option?.congestion == 0 && option?.ect1 == 1)
        #expect(sendsCapable(path))
    }

    @Test("What the eight answers to a SYN agree on [RFC 9768 §3.1.2, §3.1.3, 3168-6, 3168-14]", arguments: 0..<8)
    func answers(code: Int) {
        let path = MarkedPath(.ipv4, .accurate)
        path.connect(answer: ace(code))
        let third = path.take().first.map { counter($0.flags) }
        // Not ECN-capable; broken; RFC 3168; then those that know accurate ECN.
        #expect(third == (code == 0 || code == 1 || code == 7 ? 0 : 0b010))
        // 011, 100 and 110 say that a SYN that was sent as not ECN-capable came as something else (§3.2.2.3).
        #expect(sendsCapable(path) == [1, 2, 5].contains(code))
        let initial = path.peer.status?.congestionWindow
        #expect(code == 6 ? initial == 5000 : initial == 10_000)
        path.data(.congestion)
        let ack = path.peer.pending.first.map { counter($0.flags) }
        if code == 0 || code == 7 {
            #expect(ack == nil)
        } else {
            #expect(ack == (code == 1 ? 1 : 6))
        }
    }

    @Test(
        "A SYN of RFC 3168 gets RFC 3168, one without flags nothing, others accurate ECN [RFC 9768 §3.1.2, 3168-14]",
        arguments: 0..<8)
    func asked(code: Int) {
        let answer = MarkedPath(.ipv4, .accurate).accept(ace(code), third: TCPFlags.ack.union(ace(code == 3 ? 0 : 2)))
        #expect(answer.map { counter($0.flags) } == (code == 0 ? 0 : code == 3 ? 1 : 2))
    }

    @Test("What the first acknowledgment tells a server [RFC 9768 §3.2.2.1, table 4, 3168-15]", arguments: 0..<8)
    func third(code: Int) {
        let path = MarkedPath(.ipv4, .accurate)
        path.accept([.ae, .cwr, .ece], third: TCPFlags.ack.union(ace(code)))
        let isMangled = code == 0b011 || code == 0b100 || code == 0b110
        let window = path.peer.status?.congestionWindow
        #expect(window == (code == 0b110 ? 5000 : 10_000))
        #expect(sendsCapable(path) == !(isMangled || code == 0))
        // The counter the peer goes on from; with zero nothing it says counts.
        path.peer.send(TCPFlags.ack.union(ace(code == 0b110 ? 6 : 5)), ack: 501)
        let before = path.peer.host.stack.counters.reductionsByMarks
        path.peer.write(500)
        path.peer.send(TCPFlags.ack.union(ace(code == 0b110 ? 7 : 6)), ack: 1001)
        #expect(path.peer.host.stack.counters.reductionsByMarks - before == (code == 0 ? 0 : 1))
    }

    @Test(
        "The first SYN that goes again asks once more, later ones are plain, with the same number [3168-10]"
    )
    func synAgain() {
        let path = MarkedPath(.ipv4, .accurate)
        path.peer.connect()
        path.peer.expect([.syn, .ae, .ece, .cwr], seq: 0)
        path.peer.expect([.syn, .ae, .ece, .cwr], seq: 0, after: .seconds(1))
        path.peer.expect(.syn, seq: 0, after: .seconds(2))
        // An answer to the first: this end knows of both, and may send as ECN-capable (§3.1.5).
        path.peer.send(TCPFlags([.syn, .ack]).union(ace(2)))
        path.peer.expect(TCPFlags.ack.union(ace(2)))
        #expect(sendsCapable(path))
    }

    @Test(
        "The first SYN-ACK that goes again has no option, later ones are plain, and then nothing has ECT [3168-16]"
    )
    func synAckAgain() {
        let path = MarkedPath(.ipv4, .accurate)
        path.peer.listen()
        path.peer.send([.syn, .ae, .ece, .cwr])
        path.peer.discard()
        let first = path.peer.expect(TCPFlags([.syn, .ack]).union(ace(2)), after: .seconds(1))
        #expect(first?.tcp.options.accurateECN == nil)
        path.peer.expect([.syn, .ack], after: .seconds(2))
        path.peer.send(TCPFlags.ack.union(ace(2)))
        path.peer.accept()
        #expect(!sendsCapable(path))
        // Marks are told all the same.
        path.data(.congestion, TCPFlags.ack.union(ace(5)))
        #expect(path.take().first.map { counter($0.flags) } == 6)
    }

    @Test(
        "The SYN again without flags: the mode stays, the latest field is told, nothing has ECT [3168-16]"
    )
    func peerFallsBack() {
        let path = MarkedPath(.ipv4, .accurate)
        path.peer.listen()
        path.peer.send([.syn, .ae, .ece, .cwr])
        path.peer.expect(TCPFlags([.syn, .ack]).union(ace(2)))
        path.peer.send(.syn, seq: 0) { $0.trafficClass = 2 }
        path.peer.expect(TCPFlags([.syn, .ack]).union(ace(0b100)))
        path.peer.send(TCPFlags.ack.union(ace(2)))
        path.peer.accept()
        #expect(!sendsCapable(path))
    }

    @Test(
        "SYNs for accurate ECN and for RFC 3168 in one handshake reset it [RFC 9768 §3.1.5, 3168-17]",
        arguments: [true, false])
    func mixed(accurateFirst: Bool) {
        let path = MarkedPath(.ipv4, .accurate)
        let (first, second): (TCPFlags, TCPFlags) =
            accurateFirst ? ([.ae, .ece, .cwr], [.ece, .cwr]) : ([.ece, .cwr], [.ae, .ece, .cwr])
        path.peer.listen()
        path.peer.send(first.union(.syn))
        path.peer.discard()
        path.peer.send(second.union(.syn), seq: 0)
        path.peer.expect([.rst, .ack])
    }

    @Test("SYNs that cross: each end is as if it had been asked [RFC 9768 §3.1.2, 3168-11]")
    func crossing() {
        let path = MarkedPath(.ipv4, .accurate)
        path.peer.connect()
        path.peer.discard()
        path.peer.send([.syn, .ae, .ece, .cwr]) { $0.trafficClass = 1 }
        path.peer.expect(TCPFlags([.syn, .ack]).union(ace(0b011)))
        path.peer.send(TCPFlags([.syn, .ack]).union(ace(2)), seq: 0)
        path.peer.expectState(.established)
        #expect(sendsCapable(path))
        let old = MarkedPath(.ipv4, .accurate)
        old.peer.connect()
        old.peer.discard()
        old.peer.send([.syn, .ece, .cwr])
        old.peer.expect([.syn, .ack, .ece])
    }

    @Test("With a SYN cookie accurate ECN becomes that of RFC 3168 [RFC 9768 §3.1.2, 4987-4]")
    func cookie() {
        let path = MarkedPath(.ipv4, .accurate, offer: .full) { $0.synCookies = .always }
        #expect(path.accept([.ae, .ece, .cwr])?.flags == [.syn, .ack, .ece])
        #expect(sendsCapable(path))
    }
}

@Suite("Accurate ECN: marks told, and answered") struct AccurateFeedbackTests {
    private func open(
        sack: Bool = true, control: CongestionControl = .newReno, timestamps: Bool = false
    ) -> MarkedPath {
        let path = MarkedPath(
            .ipv4, .accurate, control: control, offer: .init(mss: 1000, sack: sack, timestamps: timestamps))
        path.connect(answer: ace(2))
        path.peer.discard()
        return path
    }

    private func reductions(_ path: MarkedPath) -> UInt64 { path.peer.host.stack.counters.reductionsByMarks }

    @Test(
        "Every mark counts, modulo eight, and marks that begin are told at once [RFC 9768 §3.2.2.2, 3168-7, 3168-8]"
    )
    func counts() {
        let path = open()
        path.data(.congestion, .ack.union(ace(5)))
        path.peer.expect(.ack.union(ace(6)), ack: 1001)
        // Marks that go on: every second is told.
        var told: [Int] = []
        for _ in 0..<6 {
            path.data(.congestion, .ack.union(ace(5)))
            told += path.take().map { counter($0.flags) }
        }
        #expect(told == [0, 2, 4])
        #expect(path.peer.host.stack.counters.congestionMarksReceived == 7)
        path.data(.capable0, .ack.union(ace(5)))
        path.data(.capable0, .ack.union(ace(5)))
        #expect(path.take().map { counter($0.flags) } == [4])
        path.data(.congestion, .ack.union(ace(5)))
        #expect(path.take().map { counter($0.flags) } == [5], "they begin again")
    }

    @Test("Marked acknowledgments count too, and every third of them is told [RFC 9768 §3.2, §3.2.2.5.1, 3168-8]")
    func bare() {
        let path = open()
        for _ in 0..<2 { path.peer.send(.ack.union(ace(5))) { $0.trafficClass = 3 } }
        path.peer.expectNothing()
        path.peer.send(.ack.union(ace(5))) { $0.trafficClass = 3 }
        path.peer.expect(.ack.union(ace(0)))
    }

    @Test("What is not acceptable does not count [RFC 9768 §3.2, 3168-4]")
    func outside() {
        let path = open()
        path.data(.congestion, .ack.union(ace(5)), seq: 1 << 24)
        path.peer.expect(.ack.union(ace(5)))
    }

    @Test("The option has the counters that ever changed, in the shorter order [RFC 9768 §3.2.3.3, 3168-9]")
    func option() {
        let path = open()
        func pair(_ first: ECNCodepoint, _ second: ECNCodepoint) -> AccurateECNOption? {
            path.data(first, .ack.union(ace(5)))
            path.data(second, .ack.union(ace(5)))
            return path.take().last?.tcp.options.accurateECN
        }
        #expect(pair(.notCapable, .notCapable) == nil)
        let first = pair(.capable1, .capable1)
        #expect(first?.count == 1 && first?.ect1 == 2001 && first?.beginsWithECT1 == true)
        let second = pair(.congestion, .capable1)
        // The mark is told at once, what came behind it waits for company.
        #expect(second?.count == 2 && second?.ect1 == 2001 && second?.congestion == 1000)
        let third = pair(.capable0, .capable0)
        #expect(third?.count == 3 && third?.ect0 == 1001 && third?.ect1 == 3001 && third?.congestion == 1000)
    }

    @Test("Two SACK blocks come before the option, a third gives way to it [RFC 9768 §3.2.3.3, 3168-18]")
    func besideBlocks() {
        let path = open(timestamps: true)
        for start in [2001, 4001, 6001] { path.data(.capable0, .ack.union(ace(5)), seq: start) }
        let one = path.take().last
        #expect(one?.sack.count == 2 && one?.tcp.options.accurateECN?.count == 1)
        // Two fields and two blocks still fit beside timestamps; three do not.
        path.data(.congestion, .ack.union(ace(5)), seq: 8001)
        let two = path.take().last
        #expect(two?.sack.count == 2 && two?.tcp.options.accurateECN?.count == 2)
        path.data(.capable1, .ack.union(ace(5)), seq: 10_001)
        let three = path.take().last
        #expect(three?.sack.count == 3 && three?.tcp.options.accurateECN == nil)
    }

    @Test(
        "A counter that grew brings the window down, once for what is in flight, without CWR [3168-19]",
        arguments: CongestionControl.allCases)
    func reduction(control: CongestionControl) {
        let path = open(control: control)
        path.peer.write(60_000)
        #expect(path.take().allSatisfy { $0.codepoint == .capable0 && counter($0.flags) == 5 })
        let end = path.peer.received
        var count = 5
        for number in stride(from: 2001, to: end, by: 2000) {
            count += 2
            path.peer.send(.ack.union(ace(count)), ack: number)
        }
        #expect(reductions(path) == 1)
        #expect(path.take().allSatisfy { counter($0.flags) == 5 })
        #expect(path.peer.host.stack.counters.reductionsTold == 0)
    }

    @Test("A counter that says the same brings nothing down, nor an acknowledgment that came late [RFC 9768 §3.2.2.2]")
    func unchanged() {
        let path = open()
        path.peer.write(60_000)
        for number in stride(from: 2001, through: 8001, by: 2000) { path.peer.send(.ack.union(ace(5)), ack: number) }
        path.peer.send(.ack.union(ace(6)), ack: 2001)
        #expect(reductions(path) == 0)
    }

    @Test(
        "A first counter of zero is no counter: nothing is answered, and nothing has ECT [RFC 9768 §3.2.2.4, 3168-20]"
    )
    func zeroed() {
        let path = open()
        path.peer.write(10_000)
        path.peer.discard()
        path.peer.send(.ack, ack: 2001)
        path.peer.send(.ack.union(ace(3)), ack: 4001)
        #expect(reductions(path) == 0)
        path.peer.write(1000)
        #expect(path.take().allSatisfy { $0.codepoint == .notCapable })
    }

    @Test(
        "An acknowledgment of more than seven segments may hide eight marks; an option tells [3168-21]"
    )
    func wrap() {
        func reductions(_ options: [WireOption]) -> UInt64 {
            let path = open()
            path.peer.write(60_000)
            path.peer.send(.ack.union(ace(5)), ack: 1001)
            path.peer.send(.ack.union(ace(5)), ack: 10_001, options: options)
            return self.reductions(path)
        }
        #expect(reductions([]) == 1)
        #expect(reductions([.nop, .nop, .nop, marked(172, 9001, 0, 1)]) == 0)
        #expect(reductions([.nop, marked(172, 1001, 8000, 1)]) == 1)
    }

    @Test(
        "Octets marked and packets never: somebody rewrites one of them, and nothing has ECT [3168-22]"
    )
    func inconsistent() {
        let path = open()
        path.peer.write(10_000)
        path.peer.discard()
        path.peer.send(.ack.union(ace(5)), ack: 2001, options: [.nop, marked(172, 1, 1000, 1)])
        path.peer.write(1000)
        #expect(path.take().allSatisfy { $0.codepoint == .notCapable })
    }

    @Test(
        "Options of any length are read as far as they go, and never end a segment [RFC 9768 §3.2.3, 3168-9]",
        arguments: 2...20)
    func lengths(length: Int) throws {
        let octets = [172, UInt8(length)] + (0..<length - 2).map { UInt8($0 + 1) }
        let option = try #require(try TCPOptions(parsing: octets.span.bytes).accurateECN)
        #expect(option.count == min(3, (length - 2) / 3))
        #expect(option.ect0 == (length >= 5 ? 0x010203 : nil))
        #expect(option.congestion == (length >= 8 ? 0x040506 : nil))
        #expect(option.ect1 == (length >= 11 ? 0x070809 : nil))
    }

    @Test(
        "What a timeout sends again has no option, nor has anything later, if the first data had [3168-23]"
    )
    func optionLost() {
        let path = open()
        path.peer.write(1000)
        #expect(path.take().first?.tcp.options.accurateECN != nil)
        path.peer.host.advance(by: .milliseconds(500))
        #expect(path.take().first?.tcp.options.accurateECN == nil)
        path.peer.send(.ack.union(ace(5)), ack: path.peer.received)
        path.data(.capable0, .ack.union(ace(5)))
        path.data(.capable0, .ack.union(ace(5)))
        #expect(path.take().allSatisfy { $0.tcp.options.accurateECN == nil && counter($0.flags) == 5 })
    }

    @Test("What is remembered of octets is charged, and given back [RFC 9768 §3.2]")
    func memory() {
        let path = open()
        path.peer.checksLedger = false
        let before = path.peer.host.stack.memory.recovery
        path.data(.capable0, .ack.union(ace(5)))
        #expect(path.peer.host.stack.memory.recovery == before + MarkedOctets.cost)
        #expect(path.peer.host.stack.audit() == nil)
        path.peer.send(.rst)
        #expect(path.peer.host.stack.memory.recovery == 0)
    }
}
