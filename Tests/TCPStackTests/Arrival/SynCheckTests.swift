import TCPEngine
import TCPStack
import TCPWire
import Testing

/// RFC 9293 §3.10.7.4, fourth: SYN in a synchronized state is answered by a challenge ACK (RFC 5961 §4).
@Suite("Fourth, check the SYN bit")
struct SynCheckTests {
    static let states: [State] = [.established, .finWait1, .finWait2, .closeWait, .closing, .lastAck]

    @Test(
        "A SYN gets a challenge ACK whatever its sequence number, and changes nothing [U-30, B-2, 5961-2]",
        arguments: Family.allCases, states)
    func challenge(family: Family, state: State) {
        let receiveNext = ScriptedPeer.receiveNext(in: state)
        let sendNext = ScriptedPeer.sendNext(in: state)
        for place in 0..<5 {
            let peer = ScriptedPeer(family)
            peer.enter(state)
            let seq = [receiveNext - 1, receiveNext, receiveNext + 1, peer.rightEdge - 1, peer.rightEdge][place]
            peer.send(.syn, seq: seq)
            peer.expect(.ack, seq: sendNext, ack: receiveNext)
            peer.send([.syn, .ack], seq: seq, ack: sendNext)
            peer.expect(.ack, seq: sendNext, ack: receiveNext)
            peer.send([.syn, .fin, .ack], seq: seq, ack: sendNext, length: 10)
            peer.expect(.ack, seq: sendNext, ack: receiveNext)
            peer.expectNothing()
            peer.expectState(state)
        }
    }

    @Test(
        "A SYN that does not qualify gets an ACK from TIME-WAIT, which stays [U-30, MAY-2]", arguments: Family.allCases)
    func timeWait(family: Family) {
        let peer = ScriptedPeer(family)
        peer.enter(.timeWait)
        for seq in [1, 0, -5000] {
            peer.send(.syn, seq: seq)
            peer.expect(.ack, seq: 2, ack: 2)
            peer.expectState(.timeWait)
        }
        // Challenges are limited to so many a second (RFC 5961 §7).
        peer.host.advance(by: .seconds(1))
        peer.send([.syn, .ack], seq: 500, ack: 2)
        peer.expect(.ack, seq: 2, ack: 2)
        peer.expectState(.timeWait)
    }

    @Test(
        "Half-open discovery: SYN draws ACK, the rebooted peer answers RST, its SYN then opens [U-6]",
        arguments: Family.allCases)
    func figure9(family: Family) {
        let peer = ScriptedPeer(family)
        peer.enter(.established)
        // The peer has rebooted and knows nothing of the connection.
        let reborn = ScriptedPeer(family, host: peer.host, isn: 0x0100_0000)
        reborn.listener = peer.listener
        reborn.stackISN = peer.stackISN
        reborn.checksLedger = false
        reborn.send(.syn, seq: 0)
        guard let challenge = reborn.expect(.ack, seq: 1) else { return }
        #expect(challenge.tcp.acknowledgment == peer.isn + 1)
        // It answers by RFC 9293 §3.10.7.3: SEG.ACK does not acknowledge its SYN.
        reborn.send(.rst) { $0.sequence = challenge.tcp.acknowledgment }
        peer.expectState(.closed)
        #expect(peer.status?.error == .reset)
        reborn.stackISN = nil
        reborn.checksLedger = true
        reborn.next = 0
        reborn.received = 0
        reborn.establish()
    }

    @Test(
        "Two stacks: a host that reboots and connects again from the same port gets through [U-6, U-7]",
        arguments: Family.allCases)
    func rebooted(family: Family) throws {
        let pair = JoinedHosts(family)
        let listener = try pair.server.stack.listen(on: 80, at: pair.now)
        _ = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), port: 50_000, at: pair.now)
        pair.run(for: .seconds(1))
        let old = try #require(pair.server.accept(listener))
        // The reboot: another stack at the same address.
        pair.client.stack = Stack(configuration: pair.client.configuration, secret: StackSecret(8, 9), at: pair.now)
        pair.client.stack.addAddress(AddressPrefix(pair.clientAddress, length: family.prefixLength))
        let id = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), port: 50_000, at: pair.now)
        pair.run(for: .seconds(10))
        #expect(pair.server.stack.status(of: old)?.error == .reset, "\(pair.trace())")
        #expect(pair.client.stack.status(of: id)?.state == .established, "\(pair.trace())")
    }

    @Test("Data to a rebooted host draws RST with SEQ=SEG.ACK, and the sender aborts [U-7]", arguments: Family.allCases)
    func figure10(family: Family) throws {
        let pair = JoinedHosts(family)
        let listener = try pair.server.stack.listen(on: 80, at: pair.now)
        _ = try pair.client.stack.connect(to: Endpoint(pair.serverAddress, 80), port: 50_000, at: pair.now)
        pair.run(for: .seconds(1))
        let id = try #require(pair.server.accept(listener))
        pair.client.stack = Stack(configuration: pair.client.configuration, secret: StackSecret(8, 9), at: pair.now)
        pair.client.stack.addAddress(AddressPrefix(pair.clientAddress, length: family.prefixLength))
        let octets: [UInt8] = [1, 2, 3]
        _ = try pair.server.stack.write(id, octets.span.bytes, at: pair.now)
        pair.run(for: .seconds(1))
        #expect(pair.server.stack.status(of: id)?.state == .closed, "\(pair.trace())")
        #expect(pair.server.stack.status(of: id)?.error == .reset)
    }
}
