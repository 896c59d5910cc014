import Glibc
public import TCPWire

/// The table of calls that a packetdrill binary asks a stack for: 33 words, the first handed to each of the functions that
/// the others point to. `perform` makes a call through it as the tool does.
public struct SystemCallTable: Sendable {
    /// The words by what they are.
    public enum Slot: Int, CaseIterable, Sendable {
        /// What each function is handed.
        case userdata
        /// The functions, in their order.
        case free, socket, bind, listen, accept, connect, read, readv, recv, recvfrom, recvmsg, write, writev, send
        /// See `free`.
        case sendto, sendmsg, fcntl, ioctl, close, shutdown, getsockopt, setsockopt, poll
        /// See `free`.
        case netdevSend, netdevReceive, usleep, gettimeofday, epollCreate, epollControl, epollWait, pipe, splice
    }

    /// The words.
    public let words: [UInt]

    /// A table there is.
    public init(words: [UInt]) {
        precondition(words.count == Slot.allCases.count, "a table has 33 words")
        self.words = words
    }

    /// Opens a library and has it fill a table in. The library stays open as long as the program runs.
    ///
    /// - Throws: `TableError` when the library cannot be opened, lacks the entry point, or leaves a word empty.
    public init(library path: String, flags: String) throws(TableError) {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw TableError(reason: dlerror().map { String(cString: $0) } ?? "\(path) cannot be opened.")
        }
        guard let symbol = dlsym(handle, "packetdrill_interface_init") else {
            throw TableError(reason: "\(path) has no function packetdrill_interface_init.")
        }
        typealias Initializer = @convention(c) (UnsafePointer<CChar>, UnsafeMutableRawPointer) -> Void
        let initialize = unsafeBitCast(symbol, to: Initializer.self)
        var words = [UInt](repeating: 0, count: Slot.allCases.count)
        flags.withCString { flags in
            words.withUnsafeMutableBytes { if let base = $0.baseAddress { initialize(flags, base) } }
        }
        if let empty = Slot.allCases.first(where: { words[$0.rawValue] == 0 }) {
            throw TableError(reason: "\(path) left the word for \(empty) empty.")
        }
        self.init(words: words)
    }

    var userdata: UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: words[0]) }

    /// The function in a slot, as what it is.
    func function<Function>(_ slot: Slot, as type: Function.Type) -> Function {
        unsafeBitCast(words[slot.rawValue], to: type)
    }

    // MARK: The wire and the clock

    /// Hands the stack an IP packet.
    public func inject(_ packet: [UInt8]) -> CallResult {
        typealias Send = @convention(c) (UnsafeMutableRawPointer?, UnsafeRawPointer?, Int) -> Int32
        return packet.withUnsafeBytes {
            result(Int(function(.netdevSend, as: Send.self)(userdata, $0.baseAddress, $0.count)))
        }
    }

    /// The next packet that leaves; one octet that is no packet when there will be none.
    public func nextPacket() -> OutgoingPacket? {
        typealias Receive =
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutablePointer<Int>,
                UnsafeMutablePointer<Int64>
            ) -> Int32
        var room = [UInt8](repeating: 0, count: 65_600)
        var count = room.count
        var time: Int64 = 0
        let status = room.withUnsafeMutableBytes {
            function(.netdevReceive, as: Receive.self)(userdata, $0.baseAddress, &count, &time)
        }
        guard status == 0 else { return nil }
        return OutgoingPacket(octets: Array(room[0..<count]), time: Instant(nanoseconds: time * 1000))
    }

    /// Lets time pass.
    public func sleep(microseconds: UInt32) {
        typealias Sleep = @convention(c) (UnsafeMutableRawPointer?, UInt32) -> Int32
        _ = function(.usleep, as: Sleep.self)(userdata, microseconds)
    }

    /// The time by the stack's clock, in whole microseconds.
    public func timeOfDay() -> Instant {
        typealias TimeOfDay =
            @convention(c) (
                UnsafeMutableRawPointer?, UnsafeMutablePointer<timeval>, UnsafeMutableRawPointer?
            ) -> Int32
        var time = timeval()
        _ = function(.gettimeofday, as: TimeOfDay.self)(userdata, &time, nil)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_usec) * 1000)
    }

    /// Ends the stack. The table must not be used afterwards.
    public func free() {
        typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Void
        function(.free, as: Free.self)(userdata)
    }

    /// What a function returned, with `errno`.
    func result(_ value: Int) -> CallResult {
        value < 0 ? CallResult(Errno(rawValue: Glibc.errno)) : CallResult(value)
    }
}

/// Why a library cannot be used.
public struct TableError: Error, Sendable, CustomStringConvertible {
    /// What is wrong, in one sentence.
    public var reason: String
    /// The reason.
    public var description: String { reason }
}
