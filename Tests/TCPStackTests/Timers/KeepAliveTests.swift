import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.8.4: keep-alives.
@Suite("Keep-alive")
struct KeepAliveTests {
    private func alive(
        _ family: Family, idle: Duration? = .seconds(10), interval: Duration = .seconds(5), probes: Int = 3
    ) -> ScriptedPeer {
        let peer = ScriptedPeer(family)
        var options = ConnectionOptions()
        options.keepAliveIdle = idle
        options.keepAliveInterval = interval
        options.keepAliveProbes = probes
        peer.establish(options: options)
        return peer
    }

    @Test("Off unless asked for: not a segment in 30 days of silence [MUST-25, MAY-5]", arguments: Family.allCases)
    func off(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.expectNothing(for: .seconds(30 * 86_400))
        peer.expectState(.established)
        #expect(ConnectionOptions().keepAliveIdle == nil)
    }

    @Test(
        "The first probe comes after the idle time, without data, at SND.NXT-1 [MUST-27, SHLD-12]",
        arguments: Family.allCases)
    func first(family: Family) {
        for seconds in [10, 7200] {
            let peer = alive(family, idle: .seconds(seconds))
            peer.expect(.ack, seq: 0, ack: 1, length: 0, after: .seconds(seconds))
            peer.send(.ack)
            peer.expectState(.established)
        }
    }

    @Test("It can be turned on and off at any time [MUST-24]", arguments: Family.allCases)
    func toggled(family: Family) {
        let peer = alive(family)
        peer.expect(.ack, seq: 0, after: .seconds(10))
        peer.send(.ack)
        peer.setOptions { $0.keepAliveIdle = nil }
        peer.expectNothing(for: .seconds(3600))
        peer.setOptions { $0.keepAliveIdle = .seconds(10) }
        peer.expect(.ack, seq: 0, within: .seconds(11))
        peer.send(.ack)
        peer.expectState(.established)
    }

    @Test("Whatever is heard within the idle time puts the probe off [MUST-26]", arguments: Family.allCases)
    func trickle(family: Family) {
        let peer = alive(family)
        for _ in 0..<5 {
            peer.host.advance(by: .seconds(9))
            peer.send(length: 10)
            peer.host.advance(by: .milliseconds(50))
            #expect(peer.pending.allSatisfy { peer.relative($0) == 1 })
            peer.discard()
        }
        peer.expect(.ack, seq: 0, ack: 51, within: .seconds(11))
    }

    @Test("With data unacknowledged there are retransmissions and no probes [MUST-26]", arguments: Family.allCases)
    func outstanding(family: Family) {
        let peer = alive(family, idle: .seconds(1), interval: .seconds(1))
        peer.write(100)
        peer.host.advance(by: .seconds(60))
        #expect(peer.pending.count > 4)
        #expect(peer.pending.allSatisfy { $0.length == 100 && peer.relative($0) == 1 })
        peer.expectState(.established)
    }

    @Test("One unanswered probe is no death: a later answer keeps the connection [MUST-29]", arguments: Family.allCases)
    func tolerant(family: Family) {
        let peer = alive(family)
        peer.expect(.ack, seq: 0, after: .seconds(10))
        peer.expect(.ack, seq: 0, after: .seconds(5))
        peer.send(.ack)
        peer.expectState(.established)
        // The count starts over.
        peer.expect(.ack, seq: 0, after: .seconds(10))
        peer.expect(.ack, seq: 0, after: .seconds(5))
        peer.expect(.ack, seq: 0, after: .seconds(5))
        peer.send(.ack)
        peer.expectState(.established)
    }

    @Test(
        "After the last unanswered probe the connection ends as timed out [MUST-29, 2525-9, 2525-11]",
        arguments: Family.allCases)
    func dead(family: Family) {
        let peer = alive(family)
        peer.expect(.ack, seq: 0, after: .seconds(10))
        for _ in 0..<2 { peer.expect(.ack, seq: 0, after: .seconds(5)) }
        peer.host.advance(by: .seconds(6))
        peer.expectState(.closed)
        #expect(peer.status?.error == .timedOut)
        #expect(peer.takeReadiness().contains(.ended))
    }

    @Test(
        "A single probe without an answer is not enough even if one is asked for [MUST-29]", arguments: Family.allCases)
    func atLeastTwo(family: Family) {
        let peer = alive(family, probes: 1)
        peer.expect(.ack, seq: 0, after: .seconds(10))
        peer.expect(.ack, seq: 0, after: .seconds(5))
    }

    @Test("The default idle time is two hours or more, once it is on [MUST-28]")
    func defaultIdle() {
        // There is no way to turn it on without naming the time; the documented default is off.
        #expect(ConnectionOptions().keepAliveIdle == nil)
        #expect(ConnectionOptions().keepAliveInterval == .seconds(75))
        #expect(ConnectionOptions().keepAliveProbes >= 2)
    }

    @Test(
        "A keep-alive of the peer is answered at once: no data, or one garbage octet [U-11, MAY-6, SHLD-12]",
        arguments: Family.allCases)
    func answers(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.send(.ack, seq: 0)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.send(.ack, seq: 0, data: [0xAA])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectRead(.wouldBlock)
        peer.send(length: 5)
        peer.expectRead(5)
    }

    @Test("CLOSE-WAIT is kept alive as well, and a dead peer found there [MUST-26]", arguments: Family.allCases)
    func closeWait(family: Family) {
        let peer = alive(family)
        peer.send([.fin, .ack])
        peer.expect(.ack, ack: 2, within: .milliseconds(500))
        peer.expect(.ack, seq: 0, ack: 2, within: .seconds(11))
        peer.host.advance(by: .seconds(30))
        peer.expectState(.closed)
        #expect(peer.status?.error == .timedOut)
    }

    @Test(
        "FIN-WAIT-2 is kept alive while its program waits for the peer, and a dead peer found there [MUST-26]",
        arguments: Family.allCases)
    func finWait2(family: Family) {
        let peer = alive(family)
        peer.close()
        peer.expect([.fin, .ack], seq: 1)
        peer.send(.ack, ack: 2)
        peer.expectState(.finWait2)
        peer.expect(.ack, seq: 1, ack: 1, after: .seconds(10))
        peer.send(.ack, ack: 2)
        peer.expect(.ack, seq: 1, ack: 1, after: .seconds(10))
        peer.host.advance(by: .seconds(20))
        peer.expectState(.closed)
        #expect(peer.status?.error == .timedOut)
    }
}
