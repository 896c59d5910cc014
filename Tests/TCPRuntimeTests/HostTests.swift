import Synchronization
import TCPEngine
import TCPRuntime
import TCPStack
import TCPWire
import Testing

@Suite("Sockets between two hosts")
struct HostTests {
    struct Way: CustomTestStringConvertible, Sendable {
        var ipv6: Bool
        var offload: Offload
        var testDescription: String { "\(ipv6 ? "IPv6" : "IPv4"), offload \(offload.superSegments ? "on" : "off")" }

        static let all = [false, true].flatMap { ipv6 in
            [Offload.none, .full].map { Way(ipv6: ipv6, offload: $0) }
        }
    }

    @Test("A side that has closed still receives, and both sides get what the other wrote", arguments: Way.all)
    func halfClose(way: Way) throws {
        try withPair(offload: way.offload) { client, server in
            let (near, far) = try await connected(client, server, ipv6: way.ipv6)
            let question = pattern(bulk, seed: 2)
            let answer = pattern(bulk, seed: 3)
            async let heard = readAll(far)
            try await near.write(question)
            try await near.closeWrite()
            // The whole answer is written after the question's end was read.
            #expect(try await heard == question)
            async let reply = readAll(near)
            try await far.write(answer)
            try await far.closeWrite()
            #expect(try await reply == answer)
            #expect(try await near.read() == nil)
            try await near.waitUntilEnded()
            try await far.waitUntilEnded()
            await near.close()
            await far.close()
            for host in [client, server] {
                #expect(await host.memory.buffers == 0)
                #expect(await host.memory.connectionCount == 0)
            }
        }
    }

    @Test("Bulk goes both ways at once", arguments: Way.all)
    func bothWays(way: Way) throws {
        try withPair(offload: way.offload) { client, server in
            let (near, far) = try await connected(client, server, ipv6: way.ipv6)
            let one = pattern(bulk, seed: 4)
            let other = pattern(bulk, seed: 5)
            async let first: Void = {
                try await near.write(one); try await near.closeWrite()
            }()
            async let second: Void = {
                try await far.write(other); try await far.closeWrite()
            }()
            async let atFar = readAll(far)
            async let atNear = readAll(near)
            try await first
            try await second
            #expect(try await atFar == one)
            #expect(try await atNear == other)
        }
    }

    @Test("A link with room for two packets loses none of them")
    func narrowLink() throws {
        try withPair(capacity: 2) { client, server in
            let (near, far) = try await connected(client, server)
            let sent = pattern(bulk / 4)
            async let heard = readAll(far)
            try await near.write(sent)
            try await near.closeWrite()
            #expect(try await heard == sent)
            #expect(await client.counters.segmentsRetransmitted == 0)
        }
    }

    @Test("A port without a listener refuses", arguments: [false, true])
    func refused(ipv6: Bool) throws {
        try withPair { client, _ in
            await #expect(throws: ConnectionError.refused) {
                try await client.connect(to: Endpoint(ipv6 ? serverIPv6 : serverIPv4, 81))
            }
            #expect(await client.memory.connectionCount == 0)
        }
    }

    @Test("A remote address without a local one of its family is an OpenError")
    func noAddress() throws {
        try withPair { client, _ in
            await client.removeAddress(clientIPv6)
            await #expect(throws: OpenError.noLocalAddress) {
                try await client.connect(to: Endpoint(serverIPv6, 7))
            }
        }
    }

    @Test("An abort is a reset at the other end, and wakes reader, writer and whoever waits for the end")
    func aborted() throws {
        try withPair { client, server in
            let (near, far) = try await connected(client, server)
            let reader = Task(executorPreference: client.loop) { try await near.read() }
            let writer = Task(executorPreference: client.loop) {
                let bytes = pattern(1 << 16)
                while true { try await near.write(bytes) }
            }
            let watcher = Task(executorPreference: client.loop) { try await near.waitUntilEnded() }
            try await client.loop.sleep(for: .milliseconds(5))
            await far.abort()
            await #expect(throws: ConnectionError.reset) { try await reader.value }
            await #expect(throws: ConnectionError.reset) { try await writer.value }
            await #expect(throws: ConnectionError.reset) { try await watcher.value }
            // An error is not used up by the first who sees it.
            await #expect(throws: ConnectionError.reset) { try await near.read() }
            await #expect(throws: ConnectionError.notOpen) { try await far.read() }
        }
    }

    @Test("An abort wakes this side's own reader")
    func abortedHere() throws {
        try withPair { client, server in
            let (near, far) = try await connected(client, server)
            let reader = Task(executorPreference: client.loop) { try await near.read() }
            try await client.loop.sleep(for: .milliseconds(1))
            await near.abort()
            await #expect(throws: ConnectionError.self) { try await reader.value }
            await #expect(throws: ConnectionError.reset) { try await far.read() }
        }
    }

    @Test("A writer waits while nobody reads, holds no more than the buffers, and goes on when somebody does")
    func backPressure() throws {
        var configuration = Configuration()
        configuration.sendBuffer = 64 << 10
        configuration.receiveBuffer = 64 << 10
        try withPair(configuration: configuration) { client, server in
            let (near, far) = try await connected(client, server)
            let sent = pattern(500_000)
            let isDone = Atomic(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await near.write(sent)
                    try await near.closeWrite()
                }
                try await client.loop.sleep(for: .milliseconds(50))
                let status = try #require(await near.status)
                #expect(status.state == .established)
                #expect(status.unacknowledged > 0)
                #expect(await client.memory.total < 400 << 10)
                #expect(await server.memory.total < 400 << 10)
                #expect(try await readAll(far, upTo: 1000) == sent)
                isDone.store(true, ordering: .relaxed)
                try await group.waitForAll()
            }
            let done = isDone.load(ordering: .relaxed)
            #expect(done)
        }
    }

    @Test("Cancelling a waiting read wakes it, and the connection goes on")
    func cancelledRead() throws {
        try withPair { client, server in
            let (near, far) = try await connected(client, server)
            let reader = Task(executorPreference: client.loop) { try await near.read() }
            try await client.loop.sleep(for: .milliseconds(1))
            reader.cancel()
            await #expect(throws: CancellationError.self) { try await reader.value }
            try await far.write([1, 2, 3])
            #expect(try await near.read() == [1, 2, 3])
        }
    }

    @Test("Cancelling a waiting write wakes it")
    func cancelledWrite() throws {
        try withPair { client, server in
            let (near, far) = try await connected(client, server)
            let writer = Task(executorPreference: client.loop) {
                let bytes = pattern(1 << 16)
                while true { try await near.write(bytes) }
            }
            try await client.loop.sleep(for: .milliseconds(5))
            writer.cancel()
            await #expect(throws: CancellationError.self) { try await writer.value }
            _ = far
        }
    }

    @Test("Cancelling accept and connect wakes them, and leaves nothing")
    func cancelledOpen() throws {
        try withPair { client, server in
            let listener = try await server.listen(on: 9)
            let accepting = Task(executorPreference: client.loop) { try await listener.accept() }
            // Nobody has this address.
            let nobody = Endpoint(IPAddress(10, 0, 0, 99), 9)
            let connecting = Task(executorPreference: client.loop) { try await client.connect(to: nobody) }
            try await client.loop.sleep(for: .milliseconds(2))
            #expect(await client.memory.connectionCount == 1)
            accepting.cancel()
            connecting.cancel()
            await #expect(throws: CancellationError.self) { try await accepting.value }
            await #expect(throws: CancellationError.self) { try await connecting.value }
            #expect(await client.memory.connectionCount == 0)
        }
    }

    @Test("Many connections at once, each with its own octets")
    func manyConnections() throws {
        try withPair { client, server in
            let listener = try await server.listen(on: 7, backlog: crowd)
            let service = Task(executorPreference: server.loop) {
                try await withThrowingDiscardingTaskGroup { group in
                    for try await connection in listener {
                        group.addTask {
                            while let bytes = try await connection.read() { try await connection.write(bytes) }
                            await connection.close()
                        }
                    }
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<crowd {
                    group.addTask {
                        let connection = try await client.connect(to: Endpoint(serverIPv4, 7))
                        let sent = pattern(3000, seed: UInt64(index + 1))
                        try await connection.write(sent)
                        try await connection.closeWrite()
                        #expect(try await readAll(connection) == sent)
                        await connection.close()
                    }
                }
                try await group.waitForAll()
            }
            await listener.close()
            try await service.value
        }
    }

    @Test("A connection that nobody holds any longer is closed")
    func dropped() throws {
        try withPair { client, server in
            let listener = try await server.listen(on: 7)
            let accepting = Task(executorPreference: server.loop) { try await listener.accept() }
            do {
                let connection = try await client.connect(to: Endpoint(serverIPv4, 7))
                try await connection.write([7])
            }
            let far = try #require(try await accepting.value)
            #expect(try await far.read() == [7])
            #expect(try await far.read() == nil)
        }
    }

    @Test("Closing with octets unread resets the peer")
    func unreadResets() throws {
        try withPair { client, server in
            let (near, far) = try await connected(client, server)
            try await near.write([1, 2, 3])
            try await client.loop.sleep(for: .milliseconds(5))
            await far.close()
            await #expect(throws: ConnectionError.reset) { try await near.read() }
        }
    }

    @Test("Closing a listener ends its sequence, and its port refuses")
    func listenerCloses() throws {
        try withPair { client, server in
            let listener = try await server.listen(on: 7)
            let counting = Task(executorPreference: server.loop) {
                var count = 0
                for try await _ in listener { count += 1 }
                return count
            }
            try await server.loop.sleep(for: .milliseconds(1))
            await listener.close()
            #expect(try await counting.value == 0)
            await #expect(throws: ConnectionError.refused) { try await client.connect(to: Endpoint(serverIPv4, 7)) }
            _ = try await server.listen(on: 7)
        }
    }

    @Test("A port can be listened on once")
    func portInUse() throws {
        try withPair { _, server in
            let listener = try await server.listen(on: 7)
            await #expect(throws: OpenError.addressInUse) { try await server.listen(on: 7) }
            await listener.close()
        }
    }

    @Test("A host that shuts down wakes everyone, and resets its peers")
    func shutdown() throws {
        try withPair { client, server in
            let (near, far) = try await connected(client, server)
            let listener = try await server.listen(on: 8)
            let reader = Task(executorPreference: server.loop) { try await far.read() }
            let accepting = Task(executorPreference: server.loop) { try await listener.accept() }
            let ending = Task(executorPreference: server.loop) { try await server.waitUntilEnded() }
            try await server.loop.sleep(for: .milliseconds(1))
            await server.shutdown()
            await #expect(throws: ConnectionError.self) { try await reader.value }
            #expect(try await accepting.value == nil)
            try await ending.value
            await #expect(throws: ConnectionError.reset) { try await near.read() }
            await #expect(throws: ConnectionError.self) { try await server.connect(to: Endpoint(clientIPv4, 1)) }
        }
    }

    @Test(
        "Hosts on threads of their own serve callers from any other, however little room their link has",
        arguments: [1, 2, 16], [Duration.zero, .microseconds(30)])
    func acrossThreads(capacity: Int, spin: Duration) async throws {
        let loops = [try EventLoop(spin: spin), try EventLoop(spin: spin)]
        for loop in loops { try loop.startThread() }
        let (left, right) = MemoryLink.pair(capacity: capacity)
        let client = Host(device: left, addresses: [AddressPrefix(clientIPv4, length: 24)], loop: loops[0])
        let server = Host(device: right, addresses: [AddressPrefix(serverIPv4, length: 24)], loop: loops[1])
        let listener = try await server.listen(on: 7)
        let sent = pattern(bulk / 4)
        let heard = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            group.addTask {
                guard let connection = try await listener.accept() else { throw Stuck() }
                let all = try await readAll(connection)
                try await connection.write([1])
                await connection.close()
                return all
            }
            group.addTask {
                let connection = try await client.connect(to: Endpoint(serverIPv4, 7))
                try await connection.write(sent)
                try await connection.closeWrite()
                return try await readAll(connection)
            }
            var results: [[UInt8]] = []
            for try await result in group { results.append(result) }
            return results.max { $0.count < $1.count } ?? []
        }
        #expect(heard == sent)
        await client.shutdown()
        await server.shutdown()
        for loop in loops { loop.stop() }
    }
}
