import CLinux
import Glibc
import TCPEngine
import TCPRuntime
import TCPStack

/// What a port is served with.
protocol Service: Sendable {
    /// What people call it.
    var name: String { get }
    var port: UInt16 { get }
    /// Serves one connection until either side has enough.
    func serve(_ connection: TCPConnection) async throws
}

extension Service {
    /// Serves every connection of `listener`, each in a task of its own.
    func run(_ listener: TCPListener) async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while let connection = try await listener.accept() {
                group.addTask {
                    do {
                        try await serve(connection)
                        await connection.close()
                    } catch {
                        // The peer is gone, or sent what cannot be answered: that is this connection's end and nobody else's.
                        await connection.abort()
                    }
                }
            }
        }
    }
}

/// Octets per read and write of a service: large enough for a super-segment, small enough for the allocator's own pages.
let chunkSize = 64 << 10

/// RFC 862: what comes goes back.
struct Echo: Service {
    let name = "echo"
    let port: UInt16

    func serve(_ connection: TCPConnection) async throws {
        while let bytes = try await connection.read(upTo: chunkSize) { try await connection.write(bytes) }
        try await connection.closeWrite()
    }
}

/// RFC 862 and RFC 863 over UDP: a datagram comes and goes back, or is thrown away. From port 7 to port 7 it would never end:
/// what comes from a well-known port is not answered.
struct DatagramService: Sendable {
    let port: UInt16
    let sendsBack: Bool

    /// Serves until the socket or its host is closed.
    func run(_ socket: UDPSocket) async throws {
        while true {
            do {
                let (bytes, datagram) = try await socket.receive()
                guard sendsBack, datagram.source.port > 1023 else { continue }
                try await socket.send(bytes, to: datagram.source, from: datagram.destination.address)
            } catch DatagramError.notOpen {
                return
            } catch is DatagramError {
                // What one sender cannot be told concerns nobody else.
                continue
            }
        }
    }
}

/// RFC 863: what comes is thrown away.
struct Discard: Service {
    let name = "discard"
    let port: UInt16

    func serve(_ connection: TCPConnection) async throws {
        try await drain(connection)
    }
}

/// Reads to the end of the stream.
private func drain(_ connection: TCPConnection) async throws {
    while try await connection.read(upTo: chunkSize) != nil {}
}

/// RFC 864: lines of characters without end, until the peer closes or resets the connection.
struct CharacterGenerator: Service {
    let name = "chargen"
    let port: UInt16

    /// The pattern's whole period, 32 times: 95 lines of 72 characters, each starting one character on.
    private static let pattern: [UInt8] = {
        var bytes: [UInt8] = []
        for line in 0..<95 * 32 {
            for column in 0..<72 { bytes.append(UInt8(0x20 + (line + column) % 95)) }
            bytes += [13, 10]
        }
        return bytes
    }()

    func serve(_ connection: TCPConnection) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await drain(connection) }
            group.addTask {
                while !Task.isCancelled { try await connection.write(CharacterGenerator.pattern) }
            }
            // Whichever ends first ends both: a peer that has closed its side has had enough.
            try await group.next()
            group.cancelAll()
        }
    }
}
