import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 3168 §6.1.1: how two ends agree, and that whatever else a handshake says opens a plain connection.
@Suite("ECN is agreed on in the handshake, or not used")
struct ECNHandshakeTests {
    static let others: [TCPFlags] = [[], .ece, .cwr, .ae, [.ae, .ece], [.ae, .cwr]]

    /// Whether what the stack now writes leaves as ECN-capable.
    private func sendsCapable(_ path: MarkedPath) -> Bool {
        path.peer.discard()
        path.peer.write(500)
        let sent = path.take()
        #expect(sent.count == 1)
        return sent.first?.codepoint == .capable0
    }

    @Test(
        "A SYN has ECE and CWR, and no ECT; a SYN-ACK with ECE alone agrees [RFC 3168 §6.1.1, 3168-1, 3168-2, SHLD-8]",
        arguments: Family.allCases)
    func client(family: Family) {
        let path = MarkedPath(family)
        let syn = path.connect()
        #expect(syn?.ecnFlags == [.ece, .cwr])
        #expect(syn?.codepoint == .notCapable)
        let third = path.take()
        #expect(third.count == 1 && third[0].flags == .ack && third[0].codepoint == .notCapable)
        #expect(sendsCapable(path))
    }

    @Test(
        "A SYN-ACK without ECE, or with CWR too, agrees to nothing, and the connection opens [RFC 3168 §6.1.1, 3168-1]",
        arguments: [[], .cwr, [.ece, .cwr], [.ae, .ece, .cwr], .ae] as [TCPFlags])
    func refused(answer: TCPFlags) {
        let path = MarkedPath()
        path.connect(answer: answer)
        path.peer.expectState(.established)
        #expect(!sendsCapable(path))
        path.data(.congestion)
        path.peer.host.advance(by: .milliseconds(50))
        #expect(path.take().allSatisfy { $0.ecnFlags == [] })
    }

    @Test(
        "A SYN with ECE and CWR is answered with ECE alone, and no ECT [RFC 3168 §6.1.1, 3168-1, 3168-2]",
        arguments: Family.allCases)
    func server(family: Family) {
        let path = MarkedPath(family)
        let answer = path.accept()
        #expect(answer?.flags == [.syn, .ack, .ece])
        #expect(answer?.codepoint == .notCapable)
        #expect(sendsCapable(path))
    }

    @Test("A SYN with any other flags of ECN gets a plain SYN-ACK, and a connection [3168-5, B-21]", arguments: others)
    func otherSyn(flags: TCPFlags) {
        let path = MarkedPath()
        #expect(path.accept(flags)?.flags == [.syn, .ack])
        path.peer.expectState(.established)
        #expect(!sendsCapable(path))
    }

    @Test(
        "Without ECN a SYN with its flags is a SYN, and gets a plain SYN-ACK [3168-5, B-21]",
        arguments: others + [[.ece, .cwr], [.ae, .ece, .cwr]])
    func off(flags: TCPFlags) {
        let path = MarkedPath(.ipv4, .off)
        #expect(path.accept(flags)?.flags == [.syn, .ack])
        path.peer.expectState(.established)
        #expect(!sendsCapable(path))
    }

    @Test("A SYN that asks for accurate ECN gets ECN from a host that has no other [RFC 9768 §3.1.2, 3168-6]")
    func fromAccurate() {
        #expect(MarkedPath().accept([.ae, .ece, .cwr])?.flags == [.syn, .ack, .ece])
    }

    @Test(
        "A SYN that arrives as ECN-capable tells of a path that rewrites the field: no ECN there",
        arguments: [ECNCodepoint.capable0, .capable1, .congestion])
    func mangled(codepoint: ECNCodepoint) {
        #expect(MarkedPath().accept(arriving: codepoint)?.flags == [.syn, .ack])
    }

    @Test("A SYN that goes unanswered goes again without ECN, and nothing leaves with ECT [RFC 3168 §6.1.1.1, 3168-12]")
    func fallsBack() {
        let path = MarkedPath()
        path.peer.connect()
        path.peer.expect([.syn, .ece, .cwr])
        path.peer.expect(.syn, after: .seconds(1))
        // An answer to the first all the same.
        path.peer.send([.syn, .ack, .ece])
        path.peer.expect(.ack)
        #expect(!sendsCapable(path))
    }

    @Test(
        "The same SYN again without ECN: the SYN-ACK is plain, and nothing leaves with ECT [RFC 3168 §6.1.1, 3168-12]"
    )
    func peerFallsBack() {
        let path = MarkedPath()
        path.peer.listen()
        path.peer.send([.syn, .ece, .cwr])
        path.peer.expect([.syn, .ack, .ece])
        path.peer.send(.syn, seq: 0)
        path.peer.expect([.syn, .ack])
        path.peer.send(.ack)
        path.peer.accept()
        #expect(!sendsCapable(path))
    }

    @Test("SYNs that cross: each is answered with ECE alone, and both ends agree [RFC 3168 §6.1.1, 3168-1]")
    func crossing() {
        let path = MarkedPath()
        path.peer.connect()
        path.peer.expect([.syn, .ece, .cwr])
        path.peer.send([.syn, .ece, .cwr])
        path.peer.expect([.syn, .ack, .ece])
        path.peer.send([.syn, .ack, .ece], seq: 0)
        path.peer.expectState(.established)
        path.peer.discard()
        #expect(sendsCapable(path))
    }

    @Test("A connection and a listener may want another than the stack [RFC 3168 §6.1.1]")
    func perConnection() {
        var options = ConnectionOptions()
        options.explicitCongestionNotification = .off
        #expect(MarkedPath().connect(answer: [], options: options)?.flags == .syn)
        #expect(MarkedPath().accept(options: options)?.flags == [.syn, .ack])
        options.explicitCongestionNotification = .on
        #expect(MarkedPath(.ipv4, .off).connect(options: options)?.flags == [.syn, .ece, .cwr])
        #expect(MarkedPath(.ipv4, .off).accept(options: options)?.flags == [.syn, .ack, .ece])
    }

    @Test(
        "A SYN cookie brings ECN back with the timestamp, and without timestamps there is none [RFC 4987 §3.6, 4987-4]"
    )
    func cookie() {
        let full = MarkedPath(offer: .full) { $0.synCookies = .always }
        #expect(full.accept()?.flags == [.syn, .ack, .ece])
        #expect(sendsCapable(full))
        let plain = MarkedPath { $0.synCookies = .always }
        #expect(plain.accept()?.flags == [.syn, .ack])
        #expect(!sendsCapable(plain))
        // A SYN without ECN: the same cookie, but for that.
        let none = MarkedPath(offer: .full) { $0.synCookies = .always }
        #expect(none.accept([])?.flags == [.syn, .ack])
        #expect(!sendsCapable(none))
    }

    @Test("A reset with flags of ECN is a reset, in its place and out of it", arguments: others)
    func reset(flags: TCPFlags) {
        let path = MarkedPath()
        path.accept()
        path.peer.discard()
        path.peer.send(flags.union(.rst), seq: 1 << 24)
        path.peer.expectState(.established)
        path.peer.discard()
        path.peer.send(flags.union(.rst))
        path.peer.expectState(.closed)
    }
}
