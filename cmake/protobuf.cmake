# All generated protobuf and gRPC code is one library, compiled once, without our warnings.
file(GLOB protos CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/proto/dmsc/v1/*.proto)
find_program(PROTOC protoc REQUIRED)
find_program(GRPC_PLUGIN grpc_cpp_plugin REQUIRED)
set(generated ${PROJECT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${generated})
set(generated_sources "")
foreach(proto IN LISTS protos)
  get_filename_component(stem ${proto} NAME_WE)
  set(base ${generated}/dmsc/v1/${stem})
  add_custom_command(
    OUTPUT ${base}.pb.cc ${base}.pb.h ${base}.grpc.pb.cc ${base}.grpc.pb.h
    COMMAND ${PROTOC} -I ${PROJECT_SOURCE_DIR}/proto --cpp_out=${generated} --grpc_out=${generated}
            --plugin=protoc-gen-grpc=${GRPC_PLUGIN} ${proto}
    DEPENDS ${protos} VERBATIM)
  list(APPEND generated_sources ${base}.pb.cc ${base}.grpc.pb.cc)
endforeach()
add_library(dmsc_proto STATIC ${generated_sources})
set_source_files_properties(${generated_sources} PROPERTIES COMPILE_OPTIONS "-w;-O1;-g0")
target_include_directories(dmsc_proto SYSTEM PUBLIC ${generated})
target_link_libraries(dmsc_proto PUBLIC PkgConfig::GRPC grpc++_reflection Threads::Threads)
