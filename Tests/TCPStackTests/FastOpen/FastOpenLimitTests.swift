import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 7413 §5.1: what a server gives to those who have not shaken hands is bounded.
@Suite("Fast Open, limits")
struct FastOpenLimitTests {
    private func listening(
        _ family: Family, pending: Int = 2, _ change: (inout Configuration) -> Void = { _ in }
    ) -> ScriptedPeer {
        var configuration = Configuration()
        configuration.halfOpenShare = 100
        change(&configuration)
        let peer = ScriptedPeer(family, configuration)
        peer.listen(options: .fast(pending: pending))
        return peer
    }

    private func pending(_ peer: ScriptedPeer) -> Int? {
        peer.listener.flatMap { peer.host.stack.status(of: $0) }?.pendingFastOpens
    }

    @Test(
        "Past the limit of those pending a good cookie is worth no more than none [7413-5]", arguments: Family.allCases)
    func limit(family: Family) {
        let peer = listening(family)
        peer.openFast(10)
        let second = peer.sibling(port: 4100)
        second.openFast(10)
        #expect(pending(peer) == 2)
        let third = peer.sibling(port: 4200)
        third.sendSyn(cookie: third.cookie, length: 10)
        #expect(third.expectSynAck(ack: 1) == nil)
        #expect(peer.host.stack.counters.fastOpensOverLimit == 1)
        peer.expectAudit()
        // Who has shaken hands is not pending any more.
        peer.send(.ack)
        #expect(pending(peer) == 1)
        let fourth = peer.sibling(port: 4300)
        fourth.openFast(10)
        peer.expectAudit()
    }

    @Test("With a limit of none nobody opens at once, but cookies are given [7413-5]", arguments: Family.allCases)
    func none(family: Family) {
        let peer = listening(family, pending: 0)
        peer.sendSyn(cookie: peer.cookie, length: 10)
        peer.expectSynAck(ack: 1)
        let other = peer.sibling(port: 4100)
        other.sendSyn(cookie: [])
        #expect(other.expectSynAck(ack: 1) == other.cookie)
    }

    @Test("The configuration's limit holds for listeners without their own [7413-5]", arguments: Family.allCases)
    func configured(family: Family) {
        var configuration = Configuration()
        configuration.fastOpenPending = 1
        let peer = ScriptedPeer(family, configuration)
        peer.listen(options: .fast)
        peer.openFast(10)
        let other = peer.sibling(port: 4100, number: 3)
        other.sendSyn(cookie: other.cookie, length: 10)
        other.expectSynAck(ack: 1)
    }

    @Test(
        "Who was reset before the handshake counts on, for the hold at least and twice that at most [7413-10]",
        arguments: Family.allCases)
    func reset(family: Family) {
        let peer = listening(family) { $0.fastOpenResetHold = .seconds(60) }
        peer.openFast(10)
        peer.send(.rst)
        #expect(peer.status?.error == .reset)
        #expect(pending(peer) == 1)
        peer.expectAudit()
        // Bound to no connection: nothing is held for it.
        peer.release()
        #expect(peer.host.stack.memory.connectionCount == 0)
        let second = peer.sibling(port: 4100)
        second.openFast(10)
        let third = peer.sibling(port: 4200)
        third.sendSyn(cookie: third.cookie, length: 10)
        third.expectSynAck(ack: 1)
        second.send(.ack)
        peer.host.advance(by: .seconds(60))
        #expect(pending(peer) == 1)
        peer.host.advance(by: .seconds(60))
        #expect(pending(peer) == 0)
    }

    @Test("Resets of several intervals add up, and each ends in its turn [7413-10]", arguments: Family.allCases)
    func resets(family: Family) {
        let peer = listening(family, pending: 100) { $0.fastOpenResetHold = .seconds(60) }
        for (index, expected) in [1, 2, 2, 2].enumerated() {
            let other = peer.sibling(port: UInt16(4100 + index))
            other.openFast(10)
            other.send(.rst)
            #expect(pending(peer) == expected)
            other.release()
            peer.host.advance(by: .seconds(60))
        }
        #expect(pending(peer) == 1)
        peer.host.advance(by: .seconds(180))
        #expect(pending(peer) == 0)
    }

    @Test("A reset that only lies in the window ends nothing [7413-10, 5961-1]", arguments: Family.allCases)
    func inexactReset(family: Family) {
        let peer = listening(family)
        peer.openFast(10)
        peer.send(.rst, seq: 20)
        peer.expectState(.synReceived)
        peer.expect(.ack, seq: 1, ack: 11)
        peer.expectAudit()
    }

    @Test("One source takes no more than its share of those pending [7413-5, 4987-2]", arguments: Family.allCases)
    func share(family: Family) {
        let peer = listening(family, pending: 10) { $0.halfOpenShare = 30 }
        for index in 0..<3 {
            let other = peer.sibling(port: UInt16(4100 + index))
            other.openFast(10)
        }
        peer.sendSyn(cookie: peer.cookie, length: 10)
        peer.expectSynAck(ack: 1)
        peer.expectAudit()
    }

    @Test(
        "Where SYNs get cookies of RFC 4987 nobody opens at once [7413-5]", arguments: Family.allCases, [true, false])
    func synCookies(family: Family, always: Bool) {
        let peer = listening(family, pending: 10) {
            if always { $0.synCookies = .always } else { $0.halfOpenConnections = 1 }
        }
        if !always {
            let other = peer.sibling(port: 4100, number: 3)
            other.send(.syn)
            other.discard()
        }
        peer.sendSyn(cookie: peer.cookie, length: 10)
        #expect(peer.expectSynAck(ack: 1) == nil)
        #expect(peer.host.stack.counters.cookiesSent == 1)
        peer.send(.ack)
        peer.accept()
        peer.send(length: 10)
        peer.expectRead(10)
        peer.expectAudit()
    }

    @Test("A full queue of the listener takes no SYN, whatever its cookie [7413-5]", arguments: Family.allCases)
    func backlog(family: Family) {
        var configuration = Configuration()
        configuration.halfOpenShare = 100
        let peer = ScriptedPeer(family, configuration)
        peer.listen(backlog: 1, options: .fast)
        peer.sendSyn(cookie: peer.cookie, length: 10)
        peer.expectSynAck(ack: 11)
        let other = peer.sibling(port: 4100)
        other.sendSyn(cookie: other.cookie, length: 10)
        other.expectNothing()
        #expect(peer.host.stack.counters[.queueFull] == 1)
    }

    @Test(
        "A listener that ends resets those that wait, and forgets to count the others [7413-5]",
        arguments: Family.allCases)
    func stopListening(family: Family) throws {
        let peer = listening(family, pending: 10)
        peer.openFast(10)
        let waiting = peer.sibling(port: 4100)
        waiting.sendSyn(cookie: waiting.cookie, length: 10)
        waiting.expectSynAck(ack: 11)
        peer.host.stack.stopListening(try #require(peer.listener), at: peer.host.now)
        peer.host.settle()
        waiting.expect([.rst, .ack], ack: 11)
        peer.expectAudit()
        let new = peer.sibling(port: 4200)
        new.listen(options: .fast(pending: 10))
        peer.send(.ack)
        peer.expectState(.established)
        peer.expectRead(10)
        #expect(pending(new) == 0)
        peer.expectAudit()
    }

    @Test("What Fast Open took is charged, and given back [7413-2, B-29]", arguments: Family.allCases)
    func charged(family: Family) {
        let peer = listening(family, pending: 50)
        let before = peer.host.stack.memory
        for index in 0..<20 {
            let other = peer.sibling(port: UInt16(5000 + index))
            other.openFast(1000)
            other.expectAudit()
            if index % 2 == 0 { other.expectRead(1000) }
            if index % 3 == 0 { other.send(.rst) } else { other.abort() }
            other.release()
        }
        peer.expectAudit()
        let after = peer.host.stack.memory
        #expect(after.connectionCount == 0 && after.buffers == before.buffers)
    }
}
