import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 7413 §4.2.1: what a client sends along with its SYN, and what it makes of the answer.
@Suite("Fast Open, client")
struct FastOpenClientTests {
    private let cookie: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

    private func server(_ family: Family, _ change: (inout Configuration) -> Void = { _ in }) -> ScriptedPeer {
        var configuration = Configuration()
        change(&configuration)
        return ScriptedPeer(family, configuration)
    }

    /// The first connection of a client that has no cookie yet, which it gets.
    private func learn(_ peer: ScriptedPeer, _ cookie: [UInt8]? = nil) {
        peer.connectFast(writing: 100)
        let syn = peer.expect(.syn, seq: 0)
        #expect(syn?.tcp.options.fastOpen == .request)
        peer.answer(ack: 1, cookie: cookie ?? self.cookie)
        peer.expect(.ack, seq: 1, ack: 1, length: 100)
        peer.abort()
        peer.discard()
    }

    /// The next connection to the same server.
    private func again(_ peer: ScriptedPeer) -> ScriptedPeer {
        let next = ScriptedPeer(peer.family, host: peer.host, port: peer.endpoint.port, offer: peer.offer)
        next.window = peer.window
        return next
    }

    @Test("The first SYN asks for a cookie, the next has it and what was written [7413-11]", arguments: Family.allCases)
    func cookie(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 200)
        let syn = next.expect(.syn, seq: 0, length: 200)
        #expect(syn?.tcp.options.fastOpen?.octets == cookie)
        next.expectAudit()
        next.answer(ack: 201)
        next.expect(.ack, seq: 201, ack: 1)
        next.expectState(.established)
        #expect(next.status?.unacknowledged == 0)
        next.write(50)
        next.expect(.ack, seq: 201, ack: 1, length: 50)
        next.expectAudit()
        #expect(peer.host.stack.counters.fastOpensSent == 1 && peer.host.stack.counters.fastOpensTaken == 1)
        #expect(peer.host.stack.counters.fastOpenFallbacks == 0)
    }

    @Test(
        "Cookies of all lengths go back as they came [7413-11]", arguments: Family.allCases, [4, 6, 8, 10, 12, 14, 16])
    func lengths(family: Family, count: Int) {
        let peer = server(family)
        // With all other options of our SYN there is room for the longest.
        peer.offer = .scaled
        let cookie = (0..<count).map { UInt8($0 + 100) }
        learn(peer, cookie)
        let next = again(peer)
        next.connectFast(writing: 10)
        #expect(next.expect(.syn, length: 10)?.tcp.options.fastOpen?.octets == cookie)
    }

    @Test(
        "An option of a wrong length on the SYN-ACK is no cookie [7413-8]", arguments: Family.allCases,
        [0, 2, 3, 5, 17])
    func wrongLengths(family: Family, count: Int) {
        let peer = server(family)
        learn(peer, [UInt8](repeating: 9, count: count))
        let next = again(peer)
        next.connectFast(writing: 10)
        #expect(next.expect(.syn)?.tcp.options.fastOpen == .request)
    }

    @Test("Who does not ask for it has neither option nor octets on the SYN [7413-5]", arguments: Family.allCases)
    func off(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 10, options: ConnectionOptions())
        #expect(next.expect(.syn)?.tcp.options.fastOpen == nil)
    }

    @Test("The configuration speaks for connections that say nothing [7413-5]", arguments: Family.allCases)
    func configured(family: Family) {
        let peer = server(family) { $0.fastOpen = true }
        peer.connectFast(writing: 10, options: ConnectionOptions())
        #expect(peer.expect(.syn)?.tcp.options.fastOpen == .request)
    }

    @Test(
        "A SYN holds no more than the server's MSS of last time, less options [7413-12]", arguments: Family.allCases,
        [536, 1000, 1460])
    func segmentSize(family: Family, mss: Int) throws {
        let peer = server(family)
        peer.offer = .init(mss: UInt16(mss), windowScale: 7, sack: true, timestamps: true)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 4000)
        let link = 1500 - family.fixedHeaders
        // MSS 4, SACK and timestamps 12, window scale 4, cookie 12.
        let first = min(mss, link) - 32
        next.expect(.syn, seq: 0, length: first)
        next.answer(ack: 1 + first)
        next.expect(.ack, seq: 1 + first, ack: 1, length: next.mss)
        next.discard()
        next.expectAudit()
    }

    @Test("A server without an MSS option is taken at the default [7413-12, MUST-15]", arguments: Family.allCases)
    func defaultSegmentSize(family: Family) {
        let peer = server(family)
        peer.offer = .none
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 4000)
        next.expect(.syn, seq: 0, length: family.defaultMSS - 32)
    }

    @Test("What is written after the SYN has left follows the handshake [7413-11]", arguments: Family.allCases)
    func later(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 10)
        next.expect(.syn, length: 10)
        next.write(20)
        next.expectNothing()
        next.answer(ack: 11)
        next.expect(.ack, seq: 11, ack: 1, length: 20)
    }

    @Test("A cookie without anything written goes on an empty SYN [7413-11]", arguments: Family.allCases)
    func empty(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 0)
        #expect(next.expect(.syn)?.tcp.options.fastOpen?.octets == cookie)
        next.answer(ack: 1)
        next.expect(.ack, seq: 1, ack: 1)
        // Nothing was ignored, as nothing was sent.
        #expect(peer.host.stack.counters.fastOpenFallbacks == 0)
    }

    @Test(
        "A SYN-ACK of the SYN alone: the octets go again at once, with its acknowledgment, and the server is not tried for a time [7413-3, 7413-13]",
        arguments: Family.allCases)
    func ignored(family: Family) {
        let peer = server(family) { $0.fastOpenRetryInterval = .seconds(600) }
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        next.answer(ack: 1)
        next.expect(.ack, seq: 1, ack: 1, length: 300)
        next.expectAudit()
        next.send(.ack, ack: 301)
        #expect(next.status?.unacknowledged == 0)
        #expect(peer.host.stack.counters.fastOpenFallbacks == 1)
        let third = again(peer)
        third.connectFast(writing: 300)
        #expect(third.expect(.syn)?.tcp.options.fastOpen == nil)
        third.answer(ack: 1)
        third.expect(.ack, seq: 1, ack: 1, length: 300)
        third.abort()
        // A plain connection says nothing about it.
        peer.host.advance(by: .seconds(600))
        let fourth = again(peer)
        fourth.connectFast(writing: 300)
        #expect(fourth.expect(.syn, length: 300)?.tcp.options.fastOpen?.octets == cookie)
    }

    @Test("Of octets that were taken in part the others go again at once [7413-13, U-24]", arguments: Family.allCases)
    func partly(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        next.answer(ack: 101)
        next.expect(.ack, seq: 101, ack: 1, length: 200)
        next.expectAudit()
        next.send(.ack, ack: 301)
        #expect(next.status?.unacknowledged == 0)
        #expect(peer.host.stack.counters.fastOpenFallbacks == 0)
    }

    @Test("More than was sent cannot be acknowledged [U-24]", arguments: Family.allCases)
    func tooMuch(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        next.answer(ack: 302)
        next.expect(.rst, seq: 302, ack: nil)
        next.expectState(.synSent)
    }

    @Test(
        "A new cookie on a SYN-ACK of the SYN alone is used the next time: the old one was out of date [7413-13]",
        arguments: Family.allCases)
    func renewed(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        next.answer(ack: 1, cookie: [9, 9, 9, 9])
        next.expect(.ack, seq: 1, ack: 1, length: 300)
        next.abort()
        let third = again(peer)
        third.connectFast(writing: 300)
        #expect(third.expect(.syn, length: 300)?.tcp.options.fastOpen?.octets == [9, 9, 9, 9])
        #expect(peer.host.stack.counters.fastOpenFallbacks == 0)
    }

    @Test(
        "Unanswered, the SYN goes again without option and octets, and the server is not tried for a time [7413-4, 7413-3]",
        arguments: Family.allCases)
    func unanswered(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        let second = next.expect(.syn, seq: 0, after: .seconds(1))
        #expect(second?.tcp.options.fastOpen == nil)
        next.expectAudit()
        next.answer(ack: 1)
        next.expect(.ack, seq: 1, ack: 1, length: 300)
        next.abort()
        let third = again(peer)
        third.connectFast(writing: 300)
        #expect(third.expect(.syn)?.tcp.options.fastOpen == nil)
    }

    @Test("The option alone unanswered is avoided as well [7413-3]", arguments: Family.allCases)
    func requestUnanswered(family: Family) {
        let peer = server(family)
        peer.connectFast(writing: 300)
        peer.expect(.syn)
        #expect(peer.expect(.syn, after: .seconds(1))?.tcp.options.fastOpen == nil)
        peer.answer(ack: 1)
        peer.discard()
        peer.abort()
        let next = again(peer)
        next.connectFast(writing: 10)
        #expect(next.expect(.syn)?.tcp.options.fastOpen == nil)
        #expect(peer.host.stack.counters.fastOpenFallbacks == 1)
    }

    @Test("The answer to the first SYN counts, though the second left meanwhile [7413-4]", arguments: Family.allCases)
    func late(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        next.expect(.syn, seq: 0, after: .seconds(1))
        next.answer(ack: 301)
        next.expect(.ack, seq: 301, ack: 1)
        #expect(next.status?.unacknowledged == 0)
        #expect(peer.host.stack.counters.fastOpenFallbacks == 0)
        next.expectAudit()
    }

    @Test("A server that never answers is not tried for a time [7413-3]", arguments: Family.allCases)
    func timedOut(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.host.advance(by: .seconds(200))
        #expect(next.status?.error == .timedOut)
        #expect(peer.host.stack.counters.fastOpenFallbacks == 1)
        let third = again(peer)
        third.connectFast(writing: 300)
        #expect(third.expect(.syn)?.tcp.options.fastOpen == nil)
    }

    @Test("A refusal says nothing of Fast Open [7413-3]", arguments: Family.allCases)
    func refused(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        next.send([.rst, .ack], seq: 0, ack: 301)
        #expect(next.status?.error == .refused)
        #expect(peer.host.stack.counters.fastOpenFallbacks == 0)
        next.release()
        next.expectAudit()
    }

    @Test(
        "SYNs that cross: the octets go again once the connection is there [7413-14, MUST-10]",
        arguments: Family.allCases, [1, 301])
    func simultaneous(family: Family, acknowledged: Int) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 300)
        next.expect(.syn, length: 300)
        next.send(.syn)
        next.expect([.syn, .ack], seq: 0, ack: 1)
        next.expectState(.synReceived)
        next.expectAudit()
        next.send([.syn, .ack], seq: 0, ack: acknowledged)
        next.expectState(.established)
        let sent = next.pending.reduce(0) { $0 + $1.length }
        #expect(sent == 301 - acknowledged)
        next.discard()
        next.send(.ack, ack: 301)
        #expect(next.status?.unacknowledged == 0)
        next.expectAudit()
    }

    @Test("A server is an address and a port: another port is asked anew [7413-11]", arguments: Family.allCases)
    func ports(family: Family) {
        let peer = server(family)
        learn(peer)
        let other = peer.sibling(port: 4001)
        other.connectFast(writing: 10)
        #expect(other.expect(.syn)?.tcp.options.fastOpen == .request)
    }

    @Test(
        "Cookies are kept up to a limit, charged, and who was used longest ago gives way [7413-15]",
        arguments: Family.allCases)
    func bounded(family: Family) {
        let peer = server(family) { $0.fastOpenCookies = 4 }
        let empty = peer.host.stack.memory.fastOpenCookies
        #expect(empty == 0)
        for index in 0..<5 {
            let other = peer.sibling(port: UInt16(4000 + index))
            learn(other)
            if index == 3 { learn2(peer.sibling(port: 4000)) }
            peer.host.advance(by: .seconds(1))
        }
        #expect(peer.host.stack.memory.fastOpenCookies <= 32 + 4 * 72)
        #expect(peer.host.stack.memory.fastOpenCookies > 0)
        peer.expectAudit()
        // The second was used longest ago.
        for (index, isKnown) in [true, false, true, true, true].enumerated() {
            #expect(
                peer.host.stack.hasFastOpenCookie(for: Endpoint(peer.endpoint.address, UInt16(4000 + index))) == isKnown
            )
        }
    }

    /// A connection to a server whose cookie is known.
    private func learn2(_ peer: ScriptedPeer) {
        peer.connectFast(writing: 10)
        peer.expect(.syn, length: 10)
        peer.answer(ack: 11)
        peer.discard()
        peer.abort()
        peer.discard()
    }

    @Test("Without places nothing is remembered, and all is asked anew [7413-15]", arguments: Family.allCases)
    func noPlaces(family: Family) {
        let peer = server(family) { $0.fastOpenCookies = 0 }
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 10)
        #expect(next.expect(.syn)?.tcp.options.fastOpen == .request)
        #expect(peer.host.stack.memory.fastOpenCookies == 0)
    }

    @Test("A close before the SYN-ACK drops the attempt, octets and all [7413-11, U-21]", arguments: Family.allCases)
    func closed(family: Family) {
        let peer = server(family)
        learn(peer)
        let next = again(peer)
        next.connectFast(writing: 10)
        next.expect(.syn, length: 10)
        next.close()
        next.expectState(.closed)
        next.release()
        next.expectAudit()
        #expect(peer.host.stack.counters.fastOpenFallbacks == 0)
    }
}
