import TCPRuntime
import TCPStack
import TCPWire
import Testing

@Suite("UDP sockets between two hosts")
struct UDPHostTests {
    @Test("A datagram and its answer cross, from the address that was asked", arguments: [false, true])
    func answer(ipv6: Bool) throws {
        try withPair { client, server in
            let service = try await server.openUDP(on: 7)
            let socket = try await client.openUDP()
            let target = Endpoint(ipv6 ? serverIPv6 : serverIPv4, 7)
            for size in [0, 1, 1400, 60_000] {
                async let request = service.receive()
                try await socket.send(pattern(size), to: target)
                let (asked, datagram) = try await request
                #expect(asked == pattern(size) && datagram.destination == target)
                try await service.send(asked, to: datagram.source, from: datagram.destination.address)
                let (bytes, reply) = try await socket.receive()
                #expect(bytes == pattern(size) && reply.source == target && reply.length == size)
            }
            await socket.close()
            await service.close()
            for host in [client, server] {
                #expect(await host.memory.datagramSocketCount == 0)
                #expect(await host.memory.buffers == 0)
            }
        }
    }

    @Test("A connected socket is told that nobody listens")
    func refused() throws {
        try withPair { client, _ in
            let socket = try await client.openUDP()
            try await socket.connect(to: Endpoint(serverIPv4, 9))
            try await socket.send([1])
            await #expect(throws: DatagramError.refused) { try await socket.receive() }
        }
    }

    @Test("Who sends faster than the link waits for room, and nothing is lost on this side")
    func backPressure() throws {
        var configuration = Configuration()
        configuration.udpSendBuffer = 4000
        try withPair(capacity: 2, configuration: configuration) { client, server in
            let service = try await server.openUDP(on: 7)
            let socket = try await client.openUDP()
            async let heard: Int = {
                var count = 0
                while count < 200, try await service.receive().bytes.count == 1000 { count += 1 }
                return count
            }()
            for _ in 0..<200 { try await socket.send(pattern(1000), to: Endpoint(serverIPv4, 7)) }
            #expect(try await heard == 200)
        }
    }

    @Test("Whoever waits is woken when the socket is closed, or the task cancelled")
    func woken() throws {
        try withPair { client, _ in
            let socket = try await client.openUDP()
            // On the loop: the pool is busy with other tests.
            let waiter = Task(executorPreference: client.loop) { try await socket.receive() }
            try await client.loop.sleep(for: .milliseconds(5))
            await socket.close()
            await #expect(throws: DatagramError.notOpen) { try await waiter.value }
            let other = try await client.openUDP()
            let cancelled = Task(executorPreference: client.loop) { try await other.receive() }
            try await client.loop.sleep(for: .milliseconds(5))
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
        }
    }
}
