import TCPEngine
import TCPStack
import TCPWire
import Testing

/// What is easily forgotten at the edges of a connection's life.
@Suite("Before a connection opens, and after it")
struct LeftoverTests {
    @Test(
        "An acknowledgment with an old timestamp does not open a half-open connection [RFC 7323 §5.3, 7323-10]",
        arguments: Family.allCases)
    func oldTimestampInHandshake(family: Family) {
        let peer = ScriptedPeer(family, offer: .timestamps)
        peer.beginPassive()
        peer.discard()
        let now = peer.timestamp
        peer.send(.ack, options: [.nop, .nop, .timestamps(now - 1000, echo: peer.lastTimestamp)])
        peer.expect(.ack, seq: 1, ack: 1)
        peer.expectState(.synReceived)
        #expect(peer.host.stack.memory.halfOpenCount == 1, "it is a small entry still")
        peer.send(.ack)
        peer.expectState(.established)
    }

    @Test("A reset has the hop limit and DSCP of its connection [MUST-48, MUST-49]", arguments: Family.allCases)
    func resetAsTheOthers(family: Family) {
        var options = ConnectionOptions()
        options.hopLimit = 200
        options.differentiatedServices = 46
        let peer = ScriptedPeer(family)
        peer.establish(options: options)
        peer.abort()
        let reset = peer.history.last
        #expect(reset?.flags.contains(.rst) == true)
        #expect(reset?.ip.hopLimit == 200 && reset?.ip.trafficClass == 46 << 2)
    }

    @Test("Memory that lay idle for a second goes back, without anybody's doing", arguments: Family.allCases)
    func idleMemory(family: Family) {
        let peer = ScriptedPeer(family)
        peer.establish()
        peer.host.advance(by: .seconds(3))
        let before = peer.host.stack.memory
        peer.write(8000)
        #expect(peer.host.stack.memory.total > before.total)
        peer.discard()
        peer.send(.ack)
        peer.host.advance(by: .seconds(3))
        #expect(peer.host.stack.memory == before)
    }
}
