internal import CLinux
internal import Glibc

/// Why a device cannot be opened, configured or used any longer.
public enum DeviceError: Error, Sendable, Hashable {
    /// There is no `/dev/net/tun`.
    case noTUN
    /// The process may not do this; the payload says what.
    case notPermitted(String)
    /// Another program holds the interface of that name.
    case busy(String)
    /// No interface can have that name.
    case badName(String)
    /// An interface of that name exists and is no TUN interface.
    case notTUN(String)
    /// An interface of that name exists and is no TAP interface.
    case notTAP(String)
    /// The kernel refused one step of the configuration, with that error number.
    case configuration(String, Int32)
    /// The address leaves no other for the kernel's end of the link.
    case noPeer(String)
    /// A value outside its range; the payload says which and what it may be.
    case invalid(String)
    /// The link is gone, with that error number.
    case lost(Int32)
    /// The system gave no descriptor, thread or memory for the loop, with that error number.
    case system(String, Int32)

    /// What is wrong and what to do, in one sentence for a person.
    public var explanation: String {
        switch self {
        case .noTUN:
            "There is no /dev/net/tun: load the kernel's tun module, or give the container the device."
        case .notPermitted(let action):
            "No right to \(action): run as root, or with the capability CAP_NET_ADMIN."
        case .busy(let name):
            "Another program holds the interface \(name): end it, or choose another name."
        case .badName(let name):
            "'\(name)' cannot be an interface's name: use 1 to 15 characters without spaces, slashes, colons or '%'."
        case .notTUN(let name):
            "\(name) exists and is no TUN interface: choose another name, or make one by 'ip tuntap add mode tun name NAME'."
        case .notTAP(let name):
            "\(name) exists and is no TAP interface: choose another name, or make one by 'ip tuntap add mode tap name NAME'."
        case .configuration(let step, let number):
            "The kernel refused to \(step) (\(errorText(number))): check that no other interface has it, and the kernel's settings."
        case .noPeer(let prefix):
            "\(prefix) leaves no address for the kernel's end of the link: name one with --peer."
        case .invalid(let what):
            what
        case .lost(let number):
            "The interface is gone (\(errorText(number))): something removed it."
        case .system(let what, let number):
            "The system gave no \(what) (\(errorText(number))): raise its limits, or end other programs."
        }
    }
}

/// The system's words for an error number.
package func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }
