import Glibc
import Synchronization
import TCPSockets
import TCPWire

/// The adapters there are: `getsockopt` must find the one whose descriptor it is given.
private let adapters = Mutex<[Adapter]>([])

/// Where a packetdrill binary begins: fills in the 33 words of `table`, as `flags` (`key=value,…`, or null) say.
@_cdecl("packetdrill_interface_init")
public func packetdrillInterfaceInit(_ flags: UnsafePointer<CChar>?, _ table: UnsafeMutableRawPointer?) {
    guard let table else { return complain("packetdrill_interface_init was given no table.") }
    var complaints: [String] = []
    let flags = Flags(flags.map { String(cString: $0) } ?? "", complaints: &complaints)
    for complaint in complaints { complain("--so_flags: \(complaint)") }
    let adapter = Adapter(flags)
    adapters.withLock { $0.append(adapter) }
    let words = table.assumingMemoryBound(to: UInt.self)
    words[0] = UInt(bitPattern: Unmanaged.passRetained(adapter).toOpaque())
    for (index, function) in tableFunctions.enumerated() { words[1 + index] = function }
}

/// Takes the place of the system's `getsockopt` when the library is preloaded: a script's assertions call it for descriptors
/// that are ours. All others go on to the system.
@_cdecl("getsockopt")
public func interposedGetsockopt(
    _ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: UnsafeMutableRawPointer?,
    _ length: UnsafeMutablePointer<UInt32>?
) -> Int32 {
    let owner = adapters.withLock { $0 }.first { $0.owns(descriptor) }
    if let owner { return getsockopt(owner, descriptor, level, name, value, length) }
    guard let next = nextGetsockopt else {
        errno = ENOSYS
        return -1
    }
    return next(descriptor, level, name, value, length)
}

private typealias Getsockopt =
    @convention(c) (Int32, Int32, Int32, UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt32>?) -> Int32

/// The system's, behind ours.
private let nextGetsockopt: Getsockopt? = {
    // RTLD_NEXT is a cast in C, which Swift does not import.
    let next = UnsafeMutableRawPointer(bitPattern: -1)
    return dlsym(next, "getsockopt").map { unsafeBitCast($0, to: Getsockopt.self) }
}()

/// Ends an adapter.
func release(_ user: UnsafeMutableRawPointer?) {
    guard let user else { return }
    let adapter = Unmanaged<Adapter>.fromOpaque(user).takeRetainedValue()
    adapters.withLock { $0.removeAll { $0 === adapter } }
}

/// A sentence on standard error.
func complain(_ sentence: String) {
    let line = Array("TCPPacketdrill: \(sentence)\n".utf8)
    _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}
