package import TCPStack
package import TCPWire
internal import TCPEngine

/// A stack under load with its program, which does what each peer asks for.
package struct LoadServer: ~Copyable {
    /// What the program keeps of a connection.
    private struct Work {
        var request: LoadRequest?
        var header: [UInt8] = []
        /// Octets still to send of what was asked for.
        var left = 0
        /// Octets that were read and not written yet.
        var pending: [UInt8] = []
        var sawEnd = false
    }

    package var stack: Stack
    private let listener: ListenerID
    private var works: [ConnectionID: Work] = [:]
    private var buffer = [UInt8](repeating: 9, count: 2048)
    /// The levels of memory that were told.
    package private(set) var levels: [MemoryLevel] = []
    /// Connections there have been.
    package private(set) var accepted = 0

    package init(
        _ configuration: Configuration, on endpoint: Endpoint, backlog: Int = 1024, at now: Instant
    ) throws(OpenError) {
        stack = Stack(configuration: configuration, secret: StackSecret(0x0123_4567_89AB_CDEF, 21), at: now)
        stack.addAddress(AddressPrefix(endpoint.address, length: endpoint.address.isIPv4 ? 8 : 64))
        listener = try stack.listen(on: endpoint.port, backlog: backlog, at: now)
    }

    deinit {}

    /// Sees to all events there are.
    package mutating func run(at now: Instant) {
        while let event = stack.nextEvent() {
            switch event {
            case .acceptable:
                while let id = stack.accept(listener) {
                    accepted += 1
                    works[id] = Work()
                    serve(id, at: now)
                }
            case .connection(let id, let readiness):
                if readiness.contains(.ended) { letGo(id, at: now) } else { serve(id, at: now) }
            case .memoryLevel(let level): levels.append(level)
            case .datagrams: break
            }
        }
    }

    private mutating func letGo(_ id: ConnectionID, at now: Instant) {
        works[id] = nil
        stack.release(id, at: now)
    }

    /// Reads and writes until neither goes on.
    private mutating func serve(_ id: ConnectionID, at now: Instant) {
        guard var work = works[id] else { return }
        while true {
            do throws(ConnectionError) {
                if try !flush(id, &work, at: now) { break }
                if work.sawEnd || work.request == .close {
                    letGo(id, at: now)
                    return
                }
                if try !read(id, &work, at: now) { break }
            } catch {
                letGo(id, at: now)
                return
            }
        }
        works[id] = work
    }

    /// Writes what there is to write; says whether all of it was taken.
    private mutating func flush(_ id: ConnectionID, _ work: inout Work, at now: Instant) throws(ConnectionError) -> Bool
    {
        if !work.pending.isEmpty {
            let count = try LoadServer.write(id, work.pending, work.pending.count, &stack, at: now)
            work.pending.removeFirst(count)
            if !work.pending.isEmpty { return false }
        }
        while work.left > 0 {
            let wanted = min(work.left, buffer.count)
            let count = try LoadServer.write(id, buffer, wanted, &stack, at: now)
            work.left -= count
            if count < wanted { return false }
        }
        return true
    }

    private static func write(
        _ id: ConnectionID, _ octets: [UInt8], _ count: Int, _ stack: inout Stack, at now: Instant
    ) throws(ConnectionError) -> Int {
        let span = octets.span
        return try stack.write(id, span.bytes.extracting(0..<count), at: now)
    }

    /// Reads once; says whether there was anything, the end included.
    private mutating func read(_ id: ConnectionID, _ work: inout Work, at now: Instant) throws(ConnectionError) -> Bool
    {
        var octets = [UInt8](repeating: 0, count: work.request == nil ? LoadRequest.length : 2048)
        if work.request == nil { octets.removeLast(work.header.count) }
        switch try LoadServer.read(id, into: &octets, &stack, at: now) {
        case .wouldBlock: return false
        case .endOfStream: work.sawEnd = true
        case .bytes(let count): take(octets[..<count], &work)
        }
        return true
    }

    static func read(
        _ id: ConnectionID, into octets: inout [UInt8], _ stack: inout Stack, at now: Instant
    ) throws(ConnectionError) -> ReadResult {
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        return try stack.read(id, into: &bytes, at: now)
    }

    private func take(_ octets: ArraySlice<UInt8>, _ work: inout Work) {
        guard work.request == nil else {
            if work.request == .echo { work.pending += octets }
            return
        }
        work.header += octets
        guard work.header.count == LoadRequest.length else { return }
        work.request = LoadRequest(rawValue: work.header[0]) ?? .close
        if work.request == .send { work.left = work.header.dropFirst().reduce(0) { $0 &<< 8 | Int($1) } }
    }
}
