/* SPDX-License-Identifier: MIT */
/*
 * The structures that the fuzzer builds: the fields of each request, in the
 * order in which their values are taken from the input. corpus.py reads this
 * file, so it keeps to one line for each field.
 *
 * COMMAND(name, request, type), or TEST(name) for an operation of IOMMU_TEST_CMD
 * FIELD(type, member, kind)
 * END
 */
COMMAND(DESTROY, IOMMU_DESTROY, struct iommu_destroy)
FIELD(struct iommu_destroy, id, ID)
END
COMMAND(IOAS_ALLOC, IOMMU_IOAS_ALLOC, struct iommu_ioas_alloc)
FIELD(struct iommu_ioas_alloc, flags, FLAGS)
END
COMMAND(ALLOW_IOVAS, IOMMU_IOAS_ALLOW_IOVAS, struct iommu_ioas_allow_iovas)
FIELD(struct iommu_ioas_allow_iovas, ioas_id, ID)
FIELD(struct iommu_ioas_allow_iovas, num_iovas, COUNT)
FIELD(struct iommu_ioas_allow_iovas, allowed_iovas, RANGES)
END
COMMAND(COPY, IOMMU_IOAS_COPY, struct iommu_ioas_copy)
FIELD(struct iommu_ioas_copy, flags, FLAGS)
FIELD(struct iommu_ioas_copy, dst_ioas_id, ID)
FIELD(struct iommu_ioas_copy, src_ioas_id, ID)
FIELD(struct iommu_ioas_copy, length, LENGTH)
FIELD(struct iommu_ioas_copy, dst_iova, IOVA)
FIELD(struct iommu_ioas_copy, src_iova, IOVA)
END
COMMAND(IOVA_RANGES, IOMMU_IOAS_IOVA_RANGES, struct iommu_ioas_iova_ranges)
FIELD(struct iommu_ioas_iova_ranges, ioas_id, ID)
FIELD(struct iommu_ioas_iova_ranges, num_iovas, COUNT)
FIELD(struct iommu_ioas_iova_ranges, allowed_iovas, ADDRESS)
END
COMMAND(MAP, IOMMU_IOAS_MAP, struct iommu_ioas_map)
FIELD(struct iommu_ioas_map, flags, FLAGS)
FIELD(struct iommu_ioas_map, ioas_id, ID)
FIELD(struct iommu_ioas_map, user_va, ADDRESS)
FIELD(struct iommu_ioas_map, length, LENGTH)
FIELD(struct iommu_ioas_map, iova, IOVA)
END
COMMAND(UNMAP, IOMMU_IOAS_UNMAP, struct iommu_ioas_unmap)
FIELD(struct iommu_ioas_unmap, ioas_id, ID)
FIELD(struct iommu_ioas_unmap, iova, IOVA)
FIELD(struct iommu_ioas_unmap, length, LENGTH)
END
COMMAND(OPTION, IOMMU_OPTION, struct iommu_option)
FIELD(struct iommu_option, option_id, FLAGS)
FIELD(struct iommu_option, op, FLAGS)
FIELD(struct iommu_option, object_id, ID)
FIELD(struct iommu_option, val64, COUNT)
END
COMMAND(VFIO_IOAS, IOMMU_VFIO_IOAS, struct iommu_vfio_ioas)
FIELD(struct iommu_vfio_ioas, ioas_id, ID)
FIELD(struct iommu_vfio_ioas, op, FLAGS)
END
COMMAND(HWPT_ALLOC, IOMMU_HWPT_ALLOC, struct iommu_hwpt_alloc)
FIELD(struct iommu_hwpt_alloc, flags, FLAGS)
FIELD(struct iommu_hwpt_alloc, dev_id, ID)
FIELD(struct iommu_hwpt_alloc, pt_id, ID)
FIELD(struct iommu_hwpt_alloc, data_type, TYPE)
FIELD(struct iommu_hwpt_alloc, data_len, COUNT)
FIELD(struct iommu_hwpt_alloc, data_uptr, ADDRESS)
FIELD(struct iommu_hwpt_alloc, fault_id, ID)
END
COMMAND(HW_INFO, IOMMU_GET_HW_INFO, struct iommu_hw_info)
FIELD(struct iommu_hw_info, flags, FLAGS)
FIELD(struct iommu_hw_info, dev_id, ID)
FIELD(struct iommu_hw_info, data_len, COUNT)
FIELD(struct iommu_hw_info, data_uptr, ADDRESS)
FIELD(struct iommu_hw_info, out_data_type, TYPE)
END
COMMAND(SET_DIRTY, IOMMU_HWPT_SET_DIRTY_TRACKING, struct iommu_hwpt_set_dirty_tracking)
FIELD(struct iommu_hwpt_set_dirty_tracking, flags, FLAGS)
FIELD(struct iommu_hwpt_set_dirty_tracking, hwpt_id, ID)
END
COMMAND(GET_DIRTY, IOMMU_HWPT_GET_DIRTY_BITMAP, struct iommu_hwpt_get_dirty_bitmap)
FIELD(struct iommu_hwpt_get_dirty_bitmap, hwpt_id, ID)
FIELD(struct iommu_hwpt_get_dirty_bitmap, flags, FLAGS)
FIELD(struct iommu_hwpt_get_dirty_bitmap, iova, IOVA)
FIELD(struct iommu_hwpt_get_dirty_bitmap, length, LENGTH)
FIELD(struct iommu_hwpt_get_dirty_bitmap, page_size, LENGTH)
FIELD(struct iommu_hwpt_get_dirty_bitmap, data, ADDRESS)
END
COMMAND(INVALIDATE, IOMMU_HWPT_INVALIDATE, struct iommu_hwpt_invalidate)
FIELD(struct iommu_hwpt_invalidate, hwpt_id, ID)
FIELD(struct iommu_hwpt_invalidate, data_uptr, ADDRESS)
FIELD(struct iommu_hwpt_invalidate, data_type, TYPE)
FIELD(struct iommu_hwpt_invalidate, entry_len, COUNT)
FIELD(struct iommu_hwpt_invalidate, entry_num, COUNT)
END
COMMAND(FAULT_ALLOC, IOMMU_FAULT_QUEUE_ALLOC, struct iommu_fault_alloc)
FIELD(struct iommu_fault_alloc, flags, FLAGS)
END
COMMAND(MAP_FILE, IOMMU_IOAS_MAP_FILE, struct iommu_ioas_map_file)
FIELD(struct iommu_ioas_map_file, flags, FLAGS)
FIELD(struct iommu_ioas_map_file, ioas_id, ID)
FIELD(struct iommu_ioas_map_file, fd, FD)
FIELD(struct iommu_ioas_map_file, start, OFFSET)
FIELD(struct iommu_ioas_map_file, length, LENGTH)
FIELD(struct iommu_ioas_map_file, iova, IOVA)
END
COMMAND(VIOMMU_ALLOC, IOMMU_VIOMMU_ALLOC, struct iommu_viommu_alloc)
FIELD(struct iommu_viommu_alloc, flags, FLAGS)
FIELD(struct iommu_viommu_alloc, type, TYPE)
FIELD(struct iommu_viommu_alloc, dev_id, ID)
FIELD(struct iommu_viommu_alloc, hwpt_id, ID)
FIELD(struct iommu_viommu_alloc, data_len, COUNT)
FIELD(struct iommu_viommu_alloc, data_uptr, ADDRESS)
END
COMMAND(VDEVICE_ALLOC, IOMMU_VDEVICE_ALLOC, struct iommu_vdevice_alloc)
FIELD(struct iommu_vdevice_alloc, viommu_id, ID)
FIELD(struct iommu_vdevice_alloc, dev_id, ID)
FIELD(struct iommu_vdevice_alloc, virt_id, COUNT)
END
COMMAND(CHANGE_PROCESS, IOMMU_IOAS_CHANGE_PROCESS, struct iommu_ioas_change_process)
FIELD(struct iommu_ioas_change_process, __reserved, FLAGS)
END
COMMAND(VEVENTQ_ALLOC, IOMMU_VEVENTQ_ALLOC, struct iommu_veventq_alloc)
FIELD(struct iommu_veventq_alloc, flags, FLAGS)
FIELD(struct iommu_veventq_alloc, viommu_id, ID)
FIELD(struct iommu_veventq_alloc, type, TYPE)
FIELD(struct iommu_veventq_alloc, veventq_depth, COUNT)
END
COMMAND(HW_QUEUE_ALLOC, IOMMU_HW_QUEUE_ALLOC, struct iommu_hw_queue_alloc)
FIELD(struct iommu_hw_queue_alloc, flags, FLAGS)
FIELD(struct iommu_hw_queue_alloc, viommu_id, ID)
FIELD(struct iommu_hw_queue_alloc, type, TYPE)
FIELD(struct iommu_hw_queue_alloc, index, COUNT)
FIELD(struct iommu_hw_queue_alloc, nesting_parent_iova, IOVA)
FIELD(struct iommu_hw_queue_alloc, length, LENGTH)
END
COMMAND(GET_PA, IOMMU_IOAS_NOIOMMU_GET_PA, struct iommu_ioas_noiommu_get_pa)
FIELD(struct iommu_ioas_noiommu_get_pa, flags, FLAGS)
FIELD(struct iommu_ioas_noiommu_get_pa, ioas_id, ID)
FIELD(struct iommu_ioas_noiommu_get_pa, iova, IOVA)
FIELD(struct iommu_ioas_noiommu_get_pa, length, LENGTH)
END
COMMAND(VFIO_INFO, VFIO_IOMMU_GET_INFO, struct vfio_iommu_type1_info)
FIELD(struct vfio_iommu_type1_info, flags, FLAGS)
END
COMMAND(VFIO_MAP, VFIO_IOMMU_MAP_DMA, struct vfio_iommu_type1_dma_map)
FIELD(struct vfio_iommu_type1_dma_map, flags, FLAGS)
FIELD(struct vfio_iommu_type1_dma_map, vaddr, ADDRESS)
FIELD(struct vfio_iommu_type1_dma_map, iova, IOVA)
FIELD(struct vfio_iommu_type1_dma_map, size, LENGTH)
END
COMMAND(VFIO_UNMAP, VFIO_IOMMU_UNMAP_DMA, struct vfio_iommu_type1_dma_unmap)
FIELD(struct vfio_iommu_type1_dma_unmap, flags, FLAGS)
FIELD(struct vfio_iommu_type1_dma_unmap, iova, IOVA)
FIELD(struct vfio_iommu_type1_dma_unmap, size, LENGTH)
END
TEST(ADD_RESERVED)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, add_reserved.start, IOVA)
FIELD(struct iommu_test_cmd, add_reserved.length, LENGTH)
END
TEST(MOCK_DOMAIN)
FIELD(struct iommu_test_cmd, id, ID)
END
TEST(MD_CHECK_MAP)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, check_map.iova, IOVA)
FIELD(struct iommu_test_cmd, check_map.length, LENGTH)
FIELD(struct iommu_test_cmd, check_map.uptr, ADDRESS)
END
TEST(MD_CHECK_REFS)
FIELD(struct iommu_test_cmd, check_refs.length, COUNT_PAGES)
FIELD(struct iommu_test_cmd, check_refs.uptr, ADDRESS)
FIELD(struct iommu_test_cmd, check_refs.refs, COUNT)
END
TEST(CREATE_ACCESS)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, create_access.flags, FLAGS)
END
TEST(DESTROY_ACCESS_PAGES)
FIELD(struct iommu_test_cmd, id, FD)
FIELD(struct iommu_test_cmd, destroy_access_pages.access_pages_id, COUNT)
END
TEST(ACCESS_PAGES)
FIELD(struct iommu_test_cmd, id, FD)
FIELD(struct iommu_test_cmd, access_pages.flags, FLAGS)
FIELD(struct iommu_test_cmd, access_pages.iova, IOVA)
FIELD(struct iommu_test_cmd, access_pages.length, LENGTH)
FIELD(struct iommu_test_cmd, access_pages.uptr, ADDRESS)
END
TEST(ACCESS_RW)
FIELD(struct iommu_test_cmd, id, FD)
FIELD(struct iommu_test_cmd, access_rw.iova, IOVA)
FIELD(struct iommu_test_cmd, access_rw.length, COUNT_PAGES)
FIELD(struct iommu_test_cmd, access_rw.uptr, ADDRESS)
FIELD(struct iommu_test_cmd, access_rw.flags, FLAGS)
END
TEST(SET_TEMP_MEMORY_LIMIT)
FIELD(struct iommu_test_cmd, memory_limit.limit, COUNT)
END
TEST(MOCK_DOMAIN_REPLACE)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, mock_domain_replace.pt_id, ID)
END
TEST(ACCESS_REPLACE_IOAS)
FIELD(struct iommu_test_cmd, id, FD)
FIELD(struct iommu_test_cmd, access_replace_ioas.ioas_id, ID)
END
TEST(MOCK_DOMAIN_FLAGS)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, mock_domain_flags.dev_flags, FLAGS)
END
TEST(DIRTY)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, dirty.iova, IOVA)
FIELD(struct iommu_test_cmd, dirty.length, LENGTH)
FIELD(struct iommu_test_cmd, dirty.page_size, LENGTH)
FIELD(struct iommu_test_cmd, dirty.uptr, ADDRESS)
END
TEST(MD_CHECK_IOTLB)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, check_iotlb.id, COUNT)
FIELD(struct iommu_test_cmd, check_iotlb.iotlb, COUNT)
END
TEST(TRIGGER_IOPF)
FIELD(struct iommu_test_cmd, trigger_iopf.dev_id, ID)
FIELD(struct iommu_test_cmd, trigger_iopf.pasid, COUNT)
FIELD(struct iommu_test_cmd, trigger_iopf.grpid, COUNT)
FIELD(struct iommu_test_cmd, trigger_iopf.perm, FLAGS)
FIELD(struct iommu_test_cmd, trigger_iopf.addr, IOVA)
END
TEST(DEV_CHECK_CACHE)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, check_dev_cache.id, COUNT)
FIELD(struct iommu_test_cmd, check_dev_cache.cache, COUNT)
END
TEST(TRIGGER_VEVENT)
FIELD(struct iommu_test_cmd, trigger_vevent.dev_id, ID)
END
TEST(PASID_ATTACH)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, pasid_attach.pasid, PASID)
FIELD(struct iommu_test_cmd, pasid_attach.pt_id, ID)
END
TEST(PASID_REPLACE)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, pasid_replace.pasid, PASID)
FIELD(struct iommu_test_cmd, pasid_replace.pt_id, ID)
END
TEST(PASID_DETACH)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, pasid_detach.pasid, PASID)
END
TEST(PASID_CHECK_HWPT)
FIELD(struct iommu_test_cmd, id, ID)
FIELD(struct iommu_test_cmd, pasid_check.pasid, PASID)
FIELD(struct iommu_test_cmd, pasid_check.hwpt_id, ID)
END
TEST(DMABUF_GET)
FIELD(struct iommu_test_cmd, dmabuf_get.length, COUNT_PAGES)
END
TEST(DMABUF_REVOKE)
FIELD(struct iommu_test_cmd, dmabuf_revoke.dmabuf_fd, FD)
FIELD(struct iommu_test_cmd, dmabuf_revoke.revoked, FLAGS)
END
