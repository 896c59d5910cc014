import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 7413 §4.2.2: what a server does with a SYN that has the option.
@Suite("Fast Open, server")
struct FastOpenServerTests {
    private func listening(
        _ family: Family, _ options: ConnectionOptions = .fast, _ change: (inout Configuration) -> Void = { _ in }
    ) -> ScriptedPeer {
        var configuration = Configuration()
        change(&configuration)
        let peer = ScriptedPeer(family, configuration)
        peer.listen(options: options)
        return peer
    }

    @Test("A SYN that asks for a cookie gets one, and shakes hands [7413-6]", arguments: Family.allCases)
    func request(family: Family) {
        let peer = listening(family)
        peer.sendSyn(cookie: [], length: 100)
        let cookie = peer.expectSynAck(ack: 1)
        #expect(cookie == peer.cookie && cookie?.count == 8)
        #expect(peer.host.stack.memory.connectionCount == 0 && peer.host.stack.memory.halfOpenCount == 1)
        peer.send(.ack)
        peer.accept()
        peer.send(length: 100)
        peer.expectRead(100)
        peer.expectAudit()
    }

    @Test(
        "Octets with a good cookie are taken at once, and the SYN-ACK acknowledges them [7413-2, U-4]",
        arguments: Family.allCases, [1, 1000, 1448])
    func taken(family: Family, length: Int) {
        let peer = listening(family)
        peer.sendSyn(cookie: peer.cookie, length: length)
        #expect(peer.expectSynAck(ack: 1 + length) == nil)
        peer.next = 1 + length
        peer.accept()
        peer.expectState(.synReceived)
        peer.expectRead(length)
        peer.expectRead(.wouldBlock)
        peer.expectAudit()
        peer.send(.ack)
        peer.expectState(.established)
        peer.send(length: 10)
        peer.expectRead(10)
        #expect(peer.path == [.listen, .synReceived, .established])
        #expect(peer.host.stack.counters.fastOpensAccepted == 1)
    }

    @Test(
        "A good cookie without octets opens too, and the server may speak first [7413-2]",
        arguments: Family.allCases)
    func withoutData(family: Family) {
        let peer = listening(family)
        peer.openFast(0)
        peer.write(100)
        peer.expect(.ack, seq: 1, ack: 1, length: 100)
        peer.send(.ack, ack: 101)
        peer.expectState(.established)
        #expect(peer.status?.unacknowledged == 0)
        peer.expectAudit()
    }

    @Test(
        "The answer leaves before the third segment, up to the initial window [7413-7]", arguments: Family.allCases)
    func earlyAnswer(family: Family) {
        let peer = listening(family)
        peer.openFast(100)
        peer.expectRead(100)
        peer.write(30_000)
        // RFC 6928 §2: ten segments, and the SYN is not one of them.
        for index in 0..<10 { peer.expect(.ack, seq: 1 + index * peer.mss, ack: 101, length: peer.mss) }
        peer.expectNothing()
        peer.expectAudit()
        peer.send(.ack, ack: 1 + 10 * peer.mss)
        peer.expectState(.established)
        peer.expect(.ack, seq: 1 + 10 * peer.mss, ack: 101, length: peer.mss)
        peer.expectAudit()
    }

    @Test("The answer keeps to the window of the SYN, which is not scaled [7413-7, 7323-1]", arguments: Family.allCases)
    func synWindow(family: Family) {
        let peer = listening(family)
        peer.offer = .scaled
        peer.window = 3000
        peer.openFast(10)
        peer.write(20_000)
        var octets = 0
        while !peer.pending.isEmpty { octets += peer.pending.removeFirst().length }
        #expect(octets > 0 && octets <= 3000)
        peer.expectAudit()
    }

    @Test(
        "An answer that is lost with the SYN-ACK's answer is sent again after the handshake [7413-7]",
        arguments: Family.allCases)
    func earlyAnswerLost(family: Family) {
        let peer = listening(family)
        peer.openFast(100)
        peer.write(500)
        peer.expect(.ack, seq: 1, ack: 101, length: 500)
        peer.host.advance(by: .milliseconds(20))
        // Only the SYN is acknowledged.
        peer.send(.ack, ack: 1)
        peer.expectState(.established)
        peer.expectAudit()
        peer.expect(.ack, seq: 1, ack: 101, length: 500, within: .seconds(2))
        peer.send(.ack, ack: 501)
        #expect(peer.status?.unacknowledged == 0)
    }

    @Test(
        "The third segment is no duplicate, whatever is in flight behind the SYN-ACK [5681-2]",
        arguments: Family.allCases)
    func thirdIsNoDuplicate(family: Family) throws {
        let peer = listening(family)
        peer.openFast(100)
        peer.write(5000)
        peer.discard()
        peer.send(.ack, ack: 1)
        let details = try #require(peer.connection.flatMap { peer.host.stack.details(of: $0) })
        #expect(details.duplicates == 0)
    }

    @Test(
        "With a cookie that is not good only the SYN is taken, and a good one given [7413-1, 7413-6]",
        arguments: Family.allCases)
    func wrongCookie(family: Family) {
        let peer = listening(family)
        var cookie = peer.cookie
        cookie[7] ^= 1
        peer.sendSyn(cookie: cookie, length: 100)
        #expect(peer.expectSynAck(ack: 1) == peer.cookie)
        #expect(peer.host.stack.memory.connectionCount == 0)
        #expect(peer.host.stack.counters.fastOpenCookiesRefused == 1)
        peer.send(.ack)
        peer.accept()
        peer.send(length: 100)
        peer.expectRead(100)
    }

    @Test(
        "A cookie is of both addresses: another client's is not good, nor another server's [7413-1]",
        arguments: Family.allCases)
    func bound(family: Family) {
        let peer = listening(family)
        peer.host.stack.addAddress(AddressPrefix(family.address(9), length: family.prefixLength))
        let stranger = peer.sibling(port: 4100, number: 3)
        stranger.sendSyn(cookie: peer.cookie, length: 10)
        stranger.expectSynAck(ack: 1)
        let same = peer.sibling(port: 4200)
        let cookie = same.cookie
        same.target = Endpoint(family.address(9), 80)
        same.sendSyn(cookie: cookie, length: 10)
        same.expectSynAck(ack: 1)
        // Of the ports it is not.
        let other = peer.sibling(port: 4300)
        other.sendSyn(cookie: cookie, length: 10)
        other.expectSynAck(ack: 11)
    }

    @Test(
        "A cookie has the length that was given: a part of it is none [7413-1]", arguments: Family.allCases,
        [4, 6, 10, 16])
    func lengths(family: Family, count: Int) {
        let peer = listening(family)
        let cookie = Array((peer.cookie + peer.cookie)[..<count])
        peer.sendSyn(cookie: cookie, length: 10)
        #expect(peer.expectSynAck(ack: 1) == peer.cookie)
    }

    @Test(
        "An option of a length no cookie has is ignored [7413-8]", arguments: Family.allCases,
        [1, 2, 3, 5, 7, 9, 15, 17, 18])
    func malformed(family: Family, count: Int) {
        let peer = listening(family)
        peer.offer.mss = nil
        peer.sendSyn(cookie: [UInt8](repeating: 7, count: count), length: 10)
        #expect(peer.expectSynAck(ack: 1) == nil)
    }

    @Test("Who did not ask for it has none of it [7413-5]", arguments: Family.allCases, [true, false])
    func off(family: Family, asks: Bool) {
        let peer = listening(family, ConnectionOptions())
        peer.sendSyn(cookie: asks ? [] : peer.cookie, length: 10)
        #expect(peer.expectSynAck(ack: 1) == nil)
        #expect(peer.host.stack.memory.connectionCount == 0)
    }

    @Test("The configuration speaks for listeners that say nothing [7413-5]", arguments: Family.allCases)
    func configured(family: Family) {
        let peer = listening(family, ConnectionOptions()) { $0.fastOpen = true }
        peer.openFast(10)
        var options = ConnectionOptions()
        options.fastOpen = false
        let other = peer.sibling(port: 4100, stackPort: 81)
        other.listen(options: options)
        other.sendSyn(cookie: other.cookie, length: 10)
        #expect(other.expectSynAck(ack: 1) == nil)
    }

    @Test("A SYN without the option is one like any other [7413-2, U-4]", arguments: Family.allCases)
    func without(family: Family) {
        let peer = listening(family)
        peer.sendSyn(cookie: nil, length: 10)
        #expect(peer.expectSynAck(ack: 1) == nil)
    }

    @Test(
        "A cookie of the key before is honoured, and a new one given; one of the key before that is not [7413-1]",
        arguments: Family.allCases)
    func rotation(family: Family) {
        let peer = listening(family) { $0.fastOpenKeyLifetime = .seconds(1000) }
        let first = peer.cookie
        peer.host.advance(by: .seconds(1000))
        #expect(peer.cookie != first)
        peer.sendSyn(cookie: first, length: 10)
        #expect(peer.expectSynAck(ack: 11) == peer.cookie)
        let late = peer.sibling(port: 4100)
        peer.host.advance(by: .seconds(1000))
        late.sendSyn(cookie: first, length: 10)
        #expect(late.expectSynAck(ack: 1) == late.cookie)
        late.expectAudit()
    }

    @Test("Keys that are set hold until others are [7413-1]", arguments: Family.allCases)
    func givenKeys(family: Family) {
        let peer = listening(family) { $0.fastOpenKeyLifetime = .seconds(1000) }
        let key = FastOpenKey(1, 2)
        peer.host.stack.setFastOpenKeys(key)
        let cookie = peer.cookie
        peer.host.advance(by: .seconds(5000))
        #expect(peer.cookie == cookie)
        peer.host.stack.setFastOpenKeys(FastOpenKey(3, 4), previous: key)
        peer.sendSyn(cookie: cookie, length: 10)
        #expect(peer.expectSynAck(ack: 11) == peer.cookie)
        peer.host.stack.setFastOpenKeys(FastOpenKey(3, 4))
        let other = peer.sibling(port: 4100)
        other.sendSyn(cookie: cookie, length: 10)
        other.expectSynAck(ack: 1)
    }

    @Test("With Linux's key the cookies are Linux's [7413-1]")
    func linux() {
        // The key and the cookies of packetdrill's tests of the kernel.
        let host = VirtualHost()
        host.stack.setFastOpenKeys(FastOpenKey(0xA1A1_A1A1_B2B2_B2B2, 0xC3C3_C3C3_D4D4_D4D4))
        let cookie4 = host.stack.fastOpenCookie(
            client: IPAddress(ipv4: 0xC000_0201), server: IPAddress(ipv4: 0xC0A8_0001))
        #expect(cookie4 == FastOpenCookie(0x3021_B9D8_8901_7EEB))
        let cookie6 = host.stack.fastOpenCookie(
            client: IPAddress(high: 0xFD3D_FA7B_D17D_0000, low: 1),
            server: IPAddress(high: 0xFD3D_0A0B_17D6_0000, low: 1))
        #expect(cookie6 == FastOpenCookie(0xC1D1_E974_2A47_A9BC))
    }

    @Test("A SYN-ACK that is sent again has no option [7413-9]", arguments: Family.allCases)
    func synAckAgain(family: Family) {
        let peer = listening(family)
        peer.sendSyn(cookie: [])
        #expect(peer.expectSynAck(ack: 1) != nil)
        #expect(peer.expectSynAck(ack: 1, within: .seconds(3)) == nil)
        // The same of one that takes octets and brings a new cookie.
        let other = peer.sibling(port: 4100)
        let cookie = other.cookie
        peer.host.stack.setFastOpenKeys(FastOpenKey(1, 2), previous: nil)
        let old = other.cookie
        peer.host.stack.setFastOpenKeys(FastOpenKey(3, 4), previous: FastOpenKey(1, 2))
        #expect(cookie != old)
        other.sendSyn(cookie: old, length: 10)
        #expect(other.expectSynAck(ack: 11) == other.cookie)
        #expect(other.expectSynAck(ack: 11, within: .seconds(3)) == nil)
        other.expectAudit()
    }

    @Test(
        "The SYN again, with its octets or without, draws the SYN-ACK again and delivers nothing twice [7413-2]",
        arguments: Family.allCases)
    func synAgain(family: Family) {
        let peer = listening(family)
        peer.openFast(100)
        peer.sendSyn(cookie: peer.cookie, length: 100)
        peer.expectSynAck(ack: 101)
        peer.sendSyn(cookie: nil)
        peer.expectSynAck(ack: 101)
        peer.next = 101
        peer.send(.ack)
        peer.expectState(.established)
        peer.expectRead(100)
        peer.expectRead(.wouldBlock)
    }

    @Test(
        "A SYN that comes again after the connection is over delivers again: RFC 7413 §2.1", arguments: Family.allCases)
    func replayed(family: Family) {
        let peer = listening(family)
        peer.openFast(100)
        peer.expectRead(100)
        peer.send(.ack)
        peer.send([.rst, .ack])
        peer.discard()
        let again = peer.sibling(port: 4000)
        again.openFast(100)
        again.expectRead(100)
    }

    @Test("A FIN on the SYN is left to be sent again [7413-2]", arguments: Family.allCases)
    func synFin(family: Family) {
        let peer = listening(family)
        peer.sendSyn(cookie: peer.cookie, length: 10, extra: .fin)
        peer.expectSynAck(ack: 11)
        peer.accept()
        peer.next = 11
        peer.send([.fin, .ack])
        peer.expect(.ack, ack: 12)
        peer.expectRead(10)
        peer.expectRead(.endOfStream)
        peer.expectAudit()
    }

    @Test(
        "Of more octets than the buffer takes those are acknowledged that it took [7413-2]", arguments: Family.allCases)
    func partly(family: Family) {
        var options = ConnectionOptions.fast
        options.receiveBuffer = 600
        let peer = listening(family, options)
        peer.sendSyn(cookie: peer.cookie, length: 1000)
        peer.expect([.syn, .ack], seq: 0, ack: 601, window: 0)
        peer.accept()
        peer.expectRead(600)
        peer.expectAudit()
        peer.next = 601
        peer.send(length: 400)
        peer.expectState(.established)
        peer.expectAudit()
    }

    @Test(
        "A program may answer and close before the third segment [7413-7, U-21]", arguments: Family.allCases, [0, 300])
    func answerAndClose(family: Family, count: Int) {
        let peer = listening(family)
        peer.openFast(100)
        peer.expectRead(100)
        if count > 0 {
            peer.write(count)
            peer.expect(.ack, seq: 1, ack: 101, length: count)
        }
        peer.close()
        peer.expectAudit()
        if count == 0 { peer.expect([.fin, .ack], seq: 1, ack: 101) }
        peer.send(.ack, ack: 1 + count)
        if count > 0 { peer.expect([.fin, .ack], seq: 1 + count, ack: 101) }
        peer.send(.ack, ack: 2 + count)
        peer.expectState(.finWait2)
        peer.expectAudit()
    }

    @Test("A close before the SYN-ACK could leave comes behind it [7413-7]", arguments: Family.allCases)
    func closeAtOnce(family: Family) throws {
        let peer = listening(family)
        peer.host.isLinkFull = true
        peer.sendSyn(cookie: peer.cookie)
        let id = try #require(peer.listener.flatMap { peer.host.stack.accept($0) })
        peer.connection = id
        try peer.host.stack.close(id, at: peer.host.now)
        peer.host.isLinkFull = false
        peer.host.settle()
        peer.expectSynAck(ack: 1)
        peer.expect([.fin, .ack], seq: 1, ack: 1)
        peer.send(.ack, ack: 2)
        peer.expectState(.finWait2)
        peer.expectAudit()
    }

    @Test(
        "Without a third segment the SYN-ACK goes again, and R2 ends it [7413-4, MUST-23]", arguments: Family.allCases)
    func noThird(family: Family) {
        let peer = listening(family)
        peer.openFast(100)
        peer.expectSynAck(ack: 101, within: .seconds(2))
        peer.host.advance(by: .seconds(200))
        #expect(peer.status?.error == .timedOut)
        peer.release()
        peer.discard()
        peer.expectAudit()
        #expect(peer.host.stack.memory.connectionCount == 0)
    }

    @Test("A SYN out of TIME-WAIT may open at once, with a larger ISS [7413-2, 5482-2]", arguments: Family.allCases)
    func timeWait(family: Family) throws {
        let peer = listening(family)
        peer.enter(.timeWait, .passive)
        peer.release()
        let before = try #require(peer.stackISN)
        let again = peer.sibling(port: 4000)
        again.isn = peer.isn + 100_000
        again.openFast(50)
        again.expectRead(50)
        #expect(try #require(again.stackISN) > before)
        again.send(.ack)
        again.expectState(.established)
        again.expectAudit()
    }
}
