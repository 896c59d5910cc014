import TCPEngine
import TCPStack
import TCPWire
import Testing

/// The octet at an edge, where one more or one less decides.
@Suite("Edges")
struct EdgeTests {
    private func established(
        _ family: Family, _ configuration: Configuration = Configuration(), offer: ScriptedPeer.Offer = .plain
    ) -> ScriptedPeer {
        let peer = ScriptedPeer(family, configuration, offer: offer)
        peer.establish()
        return peer
    }

    @Test(
        "A RST with data that begins at the right edge, or ends before the left one, draws no answer [U-2, U-29]",
        arguments: Family.allCases)
    func resetWithData(family: Family) {
        var configuration = Configuration()
        configuration.receiveBuffer = 4096
        let peer = established(family, configuration)
        peer.send(.rst, seq: peer.rightEdge, length: 10)
        peer.expectNothing()
        peer.send(.rst, seq: -9, length: 10)
        peer.expectNothing()
        peer.send(.rst, seq: peer.rightEdge - 1, length: 10)
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.established)
    }

    @Test("A RST with data at RCV.NXT counts with a closed window [MUST-66, SHLD-2]", arguments: Family.allCases)
    func resetInClosedWindow(family: Family) {
        var configuration = Configuration()
        configuration.receiveBuffer = 4096
        let peer = established(family, configuration)
        while peer.next < 4097 { peer.send(length: 1024) }
        peer.host.advance(by: .milliseconds(500))
        peer.discard()
        peer.send(.rst, seq: 4098, length: 5)
        peer.expectState(.established)
        peer.discard()
        peer.send(.rst, seq: 4097, length: 5)
        peer.expectState(.closed)
    }

    @Test("A RST in CLOSING and LAST-ACK ends the connection without an error [U-13]", arguments: Family.allCases)
    func resetWhileClosing(family: Family) {
        for state in [State.closing, .lastAck] {
            let peer = ScriptedPeer(family)
            peer.enter(state)
            peer.send(.rst, seq: 2)
            peer.expectState(.closed)
            #expect(peer.status?.error == nil, "\(state)")
            #expect(peer.takeReadiness().contains(.ended))
            peer.expectRead(.endOfStream)
        }
    }

    @Test("A segment that fills a gap does not take the window from a later one [U-34]", arguments: Family.allCases)
    func windowAcrossGap(family: Family) {
        let peer = established(family)
        peer.send(seq: 11, length: 10, window: 6000)
        #expect(peer.status?.sendWindow == 6000)
        peer.send(seq: 1, length: 10, window: 9000)
        #expect(peer.status?.sendWindow == 6000, "the older segment's window is older too")
        peer.send(seq: 21, length: 10, window: 7000)
        #expect(peer.status?.sendWindow == 7000)
    }

    @Test("MAX.SND.WND grows with the window [MAY-12, 5961-3]", arguments: Family.allCases)
    func largestWindowGrows(family: Family) {
        let peer = ScriptedPeer(family)
        peer.window = 2000
        peer.establish()
        peer.window = 30_000
        peer.send(.ack)
        peer.send(seq: 1, ack: 1 - 30_000, length: 10)
        peer.expectRead(10)
    }

    @Test("An urgent pointer to octets that were read already is not told [B-36, 5482-6]", arguments: Family.allCases)
    func staleUrgent(family: Family) {
        let peer = established(family)
        peer.send(length: 100)
        peer.expectRead(100)
        peer.host.events.removeAll()
        // It begins before RCV.NXT and ends behind it; its pointer stays before.
        peer.send([.urg, .ack], seq: 51, length: 60, urgent: 50)
        #expect(!peer.takeReadiness().contains(.urgent))
        #expect(peer.status?.urgent == 0)
    }

    @Test("Data past the peer's FIN is not taken, and is answered [U-40, B-33]", arguments: Family.allCases)
    func pastFin(family: Family) {
        let peer = ScriptedPeer(family)
        peer.enter(.closeWait)
        peer.send(seq: 2, length: 10)
        peer.expect(.ack, seq: 1, ack: 2)
        peer.expectRead(.endOfStream)
        peer.expectState(.closeWait)
    }

    @Test("A segment that is old in part is acknowledged at once [U-27, U-11]", arguments: Family.allCases)
    func oldInPart(family: Family) {
        let peer = established(family)
        peer.send(length: 100)
        peer.expect(.ack, ack: 101, within: .milliseconds(500))
        peer.send(seq: 51, length: 100)
        peer.expect(.ack, ack: 151)
        peer.expectRead(150)
    }

    @Test(
        "A delayed acknowledgment counts from the first segment it is for [MUST-40, SHLD-18]",
        arguments: Family.allCases)
    func delayFromFirst(family: Family) {
        let peer = established(family)
        peer.send(length: 100)
        for _ in 0..<3 {
            peer.host.advance(by: .milliseconds(12))
            peer.send(length: 1)
        }
        peer.expectNothing()
        peer.expect(.ack, ack: 104, within: .milliseconds(10))
    }

    @Test(
        "Acknowledgment of a part of a segment times the octets it covers [MUST-18, 6298-4]",
        arguments: Family.allCases)
    func partOfTimed(family: Family) {
        var configuration = Configuration()
        configuration.minimumRTO = .seconds(1)
        let peer = established(family, configuration)
        let before = peer.status?.smoothedRTT ?? .zero
        peer.write(1000)
        peer.expect([.psh, .ack], length: 1000)
        peer.host.advance(by: .milliseconds(50))
        peer.send(.ack, ack: 501)
        let first = peer.status?.smoothedRTT ?? .zero
        #expect(first > before && first - before < .milliseconds(50) / 8 + .milliseconds(1))
        peer.host.advance(by: .milliseconds(50))
        peer.send(.ack, ack: 1001)
        let moved = (peer.status?.smoothedRTT ?? .zero) - first
        let wanted = (Duration.milliseconds(100) - first) / 8
        #expect(moved > wanted - .milliseconds(1) && moved < wanted + .milliseconds(1), "moved by \(moved)")
    }

    @Test(
        "An echo of a segment's first sending, after a timeout, is no round trip [6298-4]", arguments: Family.allCases)
    func echoOfFirst(family: Family) {
        let peer = established(family, offer: .timestamps)
        let before = peer.status?.smoothedRTT ?? .zero
        peer.write(10)
        peer.expect([.psh, .ack], length: 10)
        let echoed = peer.lastTimestamp
        // The peer had it; its acknowledgment was lost. The second copy is a duplicate, and the first is echoed.
        peer.expect([.psh, .ack], length: 10, after: .milliseconds(200))
        peer.host.advance(by: .milliseconds(10))
        peer.send(.ack, ack: 11, options: [.nop, .nop, .timestamps(peer.timestamp, echo: echoed)])
        #expect(peer.status?.smoothedRTT == before)
    }

    @Test("TS.Recent is believed for 24 days, not less [7323-11]", arguments: Family.allCases)
    func timestampsAfterTwentyDays(family: Family) {
        let peer = established(family, offer: .timestamps)
        let old = peer.timestamp
        peer.host.advance(by: .seconds(23 * 86_400))
        peer.send(length: 10, options: [.nop, .nop, .timestamps(old &- 1000, echo: peer.lastTimestamp)])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectRead(.wouldBlock)
    }

    @Test("Progress puts R2 off while something is always in flight [MUST-20]", arguments: Family.allCases)
    func progressInFlight(family: Family) {
        let peer = ScriptedPeer(family)
        var options = ConnectionOptions()
        options.userTimeout = .seconds(5)
        peer.establish(options: options)
        peer.write(8 * peer.mss)
        peer.discard()
        for count in 1..<8 {
            peer.host.advance(by: .seconds(4))
            peer.expectState(.established)
            peer.discard()
            peer.send(.ack, ack: 1 + count * peer.mss)
        }
        peer.expectState(.established)
    }
}
