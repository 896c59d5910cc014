import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.8.3 and §3.10.8: R1, R2 and the user timeout.
@Suite("Giving up")
struct GivingUpTests {
    @Test(
        "One notice at the third retransmission, none after; the connection ends no earlier than 100 s [MUST-20, MUST-47, SHLD-9, SHLD-10, SHLD-11]",
        arguments: Family.allCases)
    func defaults(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        let start = peer.host.now
        peer.write(100)
        peer.discard()
        var notices: [Int] = []
        var retransmissions = 0
        peer.host.advance(to: start + .seconds(1000)) {
            retransmissions += peer.discard()
            if peer.takeReadiness().contains(.troubled) { notices.append(retransmissions) }
            return peer.state == .closed
        }
        let lasted = peer.host.now - start
        #expect(notices.count == 1, "\(notices)")
        #expect(notices.first ?? 0 >= 3)
        #expect(lasted >= .seconds(100))
        #expect(lasted >= .seconds(300) && lasted < .seconds(365))
        #expect(peer.status?.error == .timedOut)
        peer.expectRead(ConnectionError.timedOut)
        peer.expectWrite(.timedOut)
        peer.expectNothing(for: .seconds(300))
    }

    @Test("R2 is settable: 5 s ends it after 5 s, never means never [MUST-21]", arguments: Family.allCases)
    func settable(family: Family) {
        for seconds in [5, 20] {
            let peer = ScriptedPeer(family)
            var options = ConnectionOptions()
            options.userTimeout = .seconds(seconds)
            peer.establish(options: options)
            let start = peer.host.now
            peer.write(100)
            peer.host.advance(to: start + .seconds(500)) { peer.state == .closed }
            let lasted = peer.host.now - start
            #expect(lasted >= .seconds(seconds) && lasted < .seconds(2 * seconds + 1), "\(lasted)")
            #expect(peer.status?.error == .timedOut)
        }
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.setOptions { $0.userTimeout = .seconds(Int64.max) }
        peer.write(100)
        peer.host.advance(by: .seconds(20_000))
        peer.expectState(.established)
        peer.received = 101
        peer.send(.ack, ack: 101)
        #expect(peer.status?.unacknowledged == 0)
    }

    @Test("The user timeout ends an opening connection too [U-42, MUST-22]", arguments: Family.allCases)
    func synSent(family: Family) {
        let peer = ScriptedPeer(family)
        var options = ConnectionOptions()
        options.userTimeout = .seconds(5)
        let start = peer.host.now
        peer.connect(options: options)
        peer.host.advance(to: start + .seconds(500)) { peer.state == .closed }
        #expect(peer.host.now - start >= .seconds(5) && peer.host.now - start < .seconds(12))
        #expect(peer.status?.error == .timedOut)
    }

    @Test(
        "The user timeout ends FIN-WAIT-1, CLOSING and LAST-ACK with the same error [U-42]", arguments: Family.allCases,
        [State.finWait1, .closing, .lastAck])
    func closing(family: Family, state: State) {
        let peer = ScriptedPeer(family)
        peer.enter(state)
        peer.setOptions { $0.userTimeout = .seconds(5) }
        let start = peer.host.now
        peer.host.advance(to: start + .seconds(500)) { peer.state == .closed }
        #expect(peer.host.now - start >= .seconds(4) && peer.host.now - start < .seconds(12))
        #expect(peer.status?.error == .timedOut)
        #expect(peer.takeReadiness().contains(.ended))
    }

    @Test("Progress puts R2 off: it counts from the last acknowledgment [MUST-20]", arguments: Family.allCases)
    func progress(family: Family) {
        let peer = ScriptedPeer(family)
        var options = ConnectionOptions()
        options.userTimeout = .seconds(5)
        peer.establish(options: options)
        for _ in 0..<10 {
            peer.write(100)
            peer.host.advance(by: .seconds(4))
            peer.received = peer.written + 1
            peer.send(.ack)
            peer.discard()
            peer.expectState(.established)
        }
    }

    @Test("Never is longer than 2^32 milliseconds [MUST-21]", arguments: Family.allCases)
    func never(family: Family) {
        var configuration = Configuration()
        configuration.maximumRTO = .seconds(86_400)
        let peer = ScriptedPeer(family, configuration)
        var options = ConnectionOptions()
        options.userTimeout = .seconds(Int64.max)
        peer.establish(options: options)
        peer.write(100)
        peer.host.advance(by: .seconds(60 * 86_400))
        peer.expectState(.established)
    }

    @Test("An idle connection never times out [MUST-25]", arguments: Family.allCases)
    func idle(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.expectNothing(for: .seconds(30 * 86_400))
        peer.expectState(.established)
        peer.send(length: 10)
        peer.expectRead(10)
    }

    @Test(
        "A retransmission that waits for the link stops no timer: the program hears when R1 has passed [SHLD-9, RFC 6298 §5.6]",
        arguments: Family.allCases)
    func linkTakesNothing(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.write(100)
        peer.discard()
        peer.host.isLinkFull = true
        peer.host.advance(by: .seconds(2))
        #expect(peer.takeReadiness().contains(.troubled))
    }
}
