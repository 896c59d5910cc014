import TCPEngine
import TCPStack
import TCPWire
import Testing

/// Client and server, both this stack.
@Suite("Fast Open, both ends")
struct FastOpenPairTests {
    private func octets(_ count: Int, _ salt: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8 &+ salt) }
    }

    private func read(_ host: VirtualHost, _ id: ConnectionID) -> [UInt8] {
        var all: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 4096)
        while true {
            var span = room.mutableSpan
            var bytes = span.mutableBytes
            guard case .bytes(let count) = try? host.stack.read(id, into: &bytes, at: host.now) else { return all }
            all += room[..<count]
        }
    }

    /// A request and its answer, both ends closed; says how long after the start the whole request was there, and the answer.
    private func exchange(
        _ pair: JoinedHosts, _ listener: ListenerID, request: [UInt8], answer: [UInt8]
    ) throws -> (request: Duration, answer: Duration) {
        let start = pair.now
        let client = try pair.client.stack.connect(
            to: Endpoint(pair.serverAddress, 80), options: .fast, at: pair.now)
        #expect(try pair.client.stack.write(client, request.span.bytes, at: pair.now) == request.count)
        var server: ConnectionID?
        var got: [UInt8] = []
        var back: [UInt8] = []
        var times: (Duration, Duration) = (.zero, .zero)
        // What the programs write is on the link at once.
        for _ in 0..<60_000 where back.count < answer.count {
            pair.run(for: .milliseconds(1))
            if server == nil { server = pair.server.stack.accept(listener) }
            if let server, got.count < request.count {
                got += read(pair.server, server)
                if got.count == request.count {
                    times.0 = .nanoseconds(pair.now.nanoseconds - start.nanoseconds)
                    #expect(try pair.server.stack.write(server, answer.span.bytes, at: pair.now) == answer.count)
                }
            }
            back += read(pair.client, client)
        }
        times.1 = .nanoseconds(pair.now.nanoseconds - start.nanoseconds)
        #expect(got == request && back == answer, "\(pair.trace())")
        let accepted = try #require(server)
        #expect(pair.server.stack.accept(listener) == nil, "the request came twice")
        for _ in 0..<2 {
            #expect(pair.server.stack.audit() == nil && pair.client.stack.audit() == nil)
            pair.run(for: .milliseconds(1))
        }
        try pair.client.stack.close(client, at: pair.now)
        try pair.server.stack.close(accepted, at: pair.now)
        pair.client.stack.release(client, at: pair.now)
        pair.server.stack.release(accepted, at: pair.now)
        pair.run(for: .seconds(1))
        return times
    }

    private func pair(_ family: Family) throws -> (JoinedHosts, ListenerID) {
        let pair = JoinedHosts(family, delay: .milliseconds(50))
        return (pair, try pair.server.stack.listen(on: 80, options: .fast, at: pair.now))
    }

    @Test(
        "The second request is there half a round trip after connect, its answer after one [7413-2, 7413-11]",
        arguments: Family.allCases)
    func roundTrips(family: Family) throws {
        let (pair, listener) = try pair(family)
        let first = try exchange(pair, listener, request: octets(500, 1), answer: octets(1000, 2))
        #expect(first.request >= .milliseconds(150) && first.answer >= .milliseconds(200))
        for salt in 3..<6 {
            let next = try exchange(pair, listener, request: octets(500, salt), answer: octets(1000, salt))
            #expect(next.request < .milliseconds(52), "\(next)")
            #expect(next.answer < .milliseconds(102), "\(next)")
        }
        #expect(pair.server.stack.counters.fastOpensAccepted == 3)
        #expect(pair.client.stack.counters.fastOpensTaken == 3)
    }

    @Test("A request larger than a SYN goes on behind it [7413-12, 7413-7]", arguments: Family.allCases)
    func large(family: Family) throws {
        let (pair, listener) = try pair(family)
        _ = try exchange(pair, listener, request: octets(10, 1), answer: octets(10, 2))
        let next = try exchange(pair, listener, request: octets(40_000, 3), answer: octets(50_000, 4))
        #expect(next.request < .milliseconds(400), "\(next)")
    }

    @Test(
        "Whichever segment is lost, everything arrives once [7413-4, 7413-13]", arguments: Family.allCases, 0..<12)
    func lostInTurn(family: Family, lost: Int) throws {
        let (pair, listener) = try pair(family)
        _ = try exchange(pair, listener, request: octets(10, 1), answer: octets(10, 2))
        let before = pair.carried
        pair.isLost = { index, _ in index == before + lost }
        _ = try exchange(pair, listener, request: octets(5000, 3), answer: octets(6000, 4))
        pair.run(for: .seconds(120))
        #expect(pair.client.stack.memory.connectionCount == 0 && pair.server.stack.memory.connectionCount == 0)
    }

    @Test(
        "On a path that drops SYNs with octets the second connection waits once, the third not at all [7413-3, 7413-4]",
        arguments: Family.allCases)
    func middlebox(family: Family) throws {
        let (pair, listener) = try pair(family)
        _ = try exchange(pair, listener, request: octets(10, 1), answer: octets(10, 2))
        pair.isLost = { _, segment in segment.flags == .syn && segment.length > 0 }
        let second = try exchange(pair, listener, request: octets(10, 3), answer: octets(10, 4))
        #expect(second.request >= .seconds(1) && second.request < .milliseconds(1200))
        let third = try exchange(pair, listener, request: octets(10, 3), answer: octets(10, 4))
        #expect(third.request < .milliseconds(160))
    }

    @Test("A key that changes in between costs one handshake at most [7413-1, 7413-13]", arguments: Family.allCases)
    func keys(family: Family) throws {
        let (pair, listener) = try pair(family)
        _ = try exchange(pair, listener, request: octets(10, 1), answer: octets(10, 2))
        pair.server.stack.setFastOpenKeys(FastOpenKey(1, 2))
        let second = try exchange(pair, listener, request: octets(10, 3), answer: octets(10, 4))
        #expect(second.request >= .milliseconds(150) && second.request < .milliseconds(160))
        let third = try exchange(pair, listener, request: octets(10, 3), answer: octets(10, 4))
        #expect(third.request < .milliseconds(52))
    }
}
